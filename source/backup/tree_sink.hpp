#pragma once

#include <string>
#include <vector>

#include "backup/tar.hpp"

namespace drunner {

// Takes one section of a backup. Members come depth first, each after its directory, which
// open_directory and close_directory bracket. Names are single parts of paths. An error may only
// come out of a later call.
class TreeSink {
  public:
    virtual ~TreeSink() = default;

    virtual void open_directory(const std::string& name, TarEntry entry) = 0;
    // Nothing more may come into the innermost directory.
    virtual void close_directory() = 0;

    // Everything but directories and devices, into the innermost directory. Content is taken from
    // the source. `target` is, for a hard link, the path of the file below the root.
    virtual void add(const std::string& name, TarEntry entry, ContentSource& source) = 0;
    virtual void add_hard_link(const std::string& name, TarEntry entry,
                               const std::string& target) = 0;

    // Closes what is open and waits until all is where it belongs.
    virtual void finish() = 0;

    // What could not be set: attributes that the file system does not take.
    virtual const std::vector<std::string>& warnings() const = 0;
};

}  // namespace drunner
