#pragma once

#include <string>

namespace drunner {

// What the regular files below the directory hold, in bytes, as far as they can be read.
unsigned long long bytes_below(const std::string& directory);

}  // namespace drunner
