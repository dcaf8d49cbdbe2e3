#pragma once

#include <string>

#include "host/file.hpp"

namespace drunner {

// Opens a backup to read: "-" is standard input, which must not be a terminal. Throws Error(usage)
// or Error(system).
FileDescriptor open_backup_input(const std::string& word);

}  // namespace drunner
