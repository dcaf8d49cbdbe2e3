#pragma once

#include <cstdint>
#include <string>

namespace drunner {

// Copies of directory trees that share their blocks with the original (reflinks: ioctl_ficlone(2)).

// Whether files in this directory can be cloned: asked of its file system with two unnamed files.
// Where it cannot be told the answer is no.
bool can_clone(const std::string& directory);

// Makes `to`, which must not exist, a clone of the directory `from` on the same file system, and
// syncs it. Kept exactly: owner, mode, times, extended attributes and ACLs, hard links, holes,
// links, fifos, devices and sockets. What stands on another file system below `from` is
// Error(system), as is a file that the file system does not clone; on failure the part that was
// made stays, for the caller to remove.
void clone_tree(const std::string& from, const std::string& to);

// Bytes of the content of the regular files in it, without holes, a hard-linked one once. What
// vanishes meanwhile does not count.
std::uint64_t tree_size(const std::string& directory);

// Whether the directory is on another file system than the one that it lies in.
bool is_mount_point(const std::string& directory);

}  // namespace drunner
