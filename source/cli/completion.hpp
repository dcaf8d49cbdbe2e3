#pragma once

#include <string>
#include <string_view>

namespace drunner {

// The completion script for a shell (bash, zsh or fish), from the table of commands. Throws
// Error(usage) for any other.
std::string completion_script(std::string_view shell);

}  // namespace drunner
