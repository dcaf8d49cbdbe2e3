#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "backup/tar.hpp"

namespace drunner {

// Writes one section of a backup below a directory that exists. Members come depth first, each
// after its directory, which open_directory and close_directory bracket. Names are single parts of
// paths; nothing is followed and nothing leaves the directory. Files are created by threads of its
// own, so an error may only come out of a later call. Throws Error(system or no_space) naming the
// file, Error(no_space) before the file system is full to its last block or entry,
// Error(archive_damaged) where something exists already.
class TreeWriter {
  public:
    // `root` is the entry of the directory itself.
    TreeWriter(const std::string& directory, TarEntry root);
    ~TreeWriter();
    TreeWriter(const TreeWriter&) = delete;
    TreeWriter& operator=(const TreeWriter&) = delete;

    void open_directory(const std::string& name, TarEntry entry);
    // Gives the innermost directory its mode and times; nothing more may come into it.
    void close_directory();

    // Everything but directories and devices, into the innermost directory. Content is taken from
    // the source. `target` is, for a hard link, the path of the file below the root.
    void add(const std::string& name, TarEntry entry, ContentSource& source);
    void add_hard_link(const std::string& name, const std::string& target);

    // Closes what is open, waits until all is written, and syncs the file system.
    void finish();

    // What could not be set: attributes that the file system does not take.
    const std::vector<std::string>& warnings() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
