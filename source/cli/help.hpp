#pragma once

#include <string>

#include "cli/command.hpp"

namespace drunner {

// The page of all commands, from the table.
std::string help_text();
// The page of one command.
std::string help_text(const Command& command);

}  // namespace drunner
