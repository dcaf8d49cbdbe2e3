#pragma once

#include <string>

namespace drunner::test {

// Fills the directory with everything that a backup must keep: odd names, modes, owners, times,
// attributes, ACLs, links of both kinds, sparse and large files, fifos, deep paths.
// GNU tar cannot make paths over 4 KiB: 90 levels of 100 bytes are beyond it.
void make_nasty_tree(const std::string& directory, int deep_levels = 90);

}  // namespace drunner::test
