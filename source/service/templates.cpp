#include "service/templates.hpp"

#include <stdexcept>

namespace drunner {

std::string template_file(std::string_view name) {
    for (const EmbeddedFile* file = embedded_files; file->name != nullptr; ++file) {
        if (name == file->name) {
            return {reinterpret_cast<const char*>(file->bytes), file->size};
        }
    }
    throw std::logic_error("no template named " + std::string(name));
}

std::string filled(std::string text, std::string_view place, const std::string& content) {
    for (std::size_t at = text.find(place); at != std::string::npos;
         at = text.find(place, at + content.size())) {
        text.replace(at, place.size(), content);
    }
    return text;
}

}  // namespace drunner
