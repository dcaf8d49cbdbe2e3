#pragma once

#include <string>

namespace drunner::test {

// Fills the directory with everything that a backup must keep: odd names, modes, owners, times,
// attributes, ACLs, links of both kinds, sparse and large files, fifos, deep paths.
void make_nasty_tree(const std::string& directory);

}  // namespace drunner::test
