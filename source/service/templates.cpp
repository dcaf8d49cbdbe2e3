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

}  // namespace drunner
