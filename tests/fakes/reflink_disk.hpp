#pragma once

#include <string>

#include "fakes/temporary_directory.hpp"

namespace drunner::test {

// An XFS file system in a file, mounted as long as this stands: it clones files. Where the machine
// lets nobody mount one, path() is empty, and a test says that it did not happen.
class ReflinkDisk {
  public:
    ReflinkDisk();
    ~ReflinkDisk();
    ReflinkDisk(const ReflinkDisk&) = delete;
    ReflinkDisk& operator=(const ReflinkDisk&) = delete;

    const std::string& path() const { return path_; }

  private:
    TemporaryDirectory directory_;
    std::string path_;
};

}  // namespace drunner::test
