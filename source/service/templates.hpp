#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace drunner {

struct EmbeddedFile {
    const char* name;  // path below templates/, nullptr in the last row
    const unsigned char* bytes;
    std::size_t size;
};
extern const EmbeddedFile embedded_files[];

// The content of templates/NAME. The name is the program's own: an unknown one is a bug
// (std::logic_error).
std::string template_file(std::string_view name);
// The text with `content` wherever `place` ("@ID@") stands.
std::string filled(std::string text, std::string_view place, const std::string& content);

}  // namespace drunner
