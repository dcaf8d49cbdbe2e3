#pragma once

#include <string>
#include <string_view>

#include "core/service_name.hpp"

namespace drunner {

// Launchers: symbolic links to the drunner binary, named as the service.

// Throws Error(invalid_name) where the name is a shell keyword or builtin, begins with "drunner",
// or is a command on `caller_path` or on root's standard path (the launcher itself, where it stands
// at `own_launcher`, does not count).
void check_launcher_name(const ServiceName& name, std::string_view caller_path,
                         const std::string& own_launcher);

// True where `link` is a symbolic link to a drunner binary, whatever its place.
bool is_launcher(const std::string& link);

// Creates the link; Error(file_exists) where anything stands there.
void create_launcher(const std::string& link, const std::string& binary);
// Removes it where it is_launcher(); false where it was absent or is somebody else's.
bool remove_launcher(const std::string& link);

// "P" where `invoked` (an absolute path) is P/usr/local/bin/S, else "".
std::string prefix_of_launcher(const std::string& invoked);

// Words that the service cannot have as commands: `S WORD` is refused. The value is what to type
// instead ("drunner backup S"), empty where the word is free.
std::string reserved_word_advice(std::string_view word, const ServiceName& name);

}  // namespace drunner
