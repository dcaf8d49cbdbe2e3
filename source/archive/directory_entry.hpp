#pragma once

#include <string>

namespace drunner {

// A tar (ustar) with the one directory NAME, for giving a directory an owner and a mode through the
// engine's archive endpoint.
std::string directory_entry_tar(const std::string& name, unsigned uid, unsigned gid, unsigned mode);

}  // namespace drunner
