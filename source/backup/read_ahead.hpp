#pragma once

#include "backup/tree_walk.hpp"

namespace drunner {

// Lets the kernel fetch files from the disk before somebody waits for them: one at a time leaves a
// disk idle that could serve many. Where files turn out to be in memory it does next to nothing.
class ReadAhead {
  public:
    // The file will be read soon.
    void want(const FoundEntry& entry);
    // So will these bytes of it.
    static void want(int fd, std::uint64_t offset, std::uint64_t size);

  private:
    unsigned until_probe_ = 0;
    bool from_disk_ = false;
};

}  // namespace drunner
