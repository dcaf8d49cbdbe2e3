#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/bytes.hpp"

namespace drunner {

// A file that is written from its beginning to its end and read again meanwhile, past the page
// cache where the file system can do that: what nobody reads soon needs no copy in memory, and what
// is read again must come from the disk. It is read in steps, each when it has been synced, and
// compared by a sum of 128 bits: against a disk that fails, not against an enemy.
class DirectFile {
  public:
    // `shown` is the file's path, for messages. The descriptor is open for reading and writing,
    // stays the caller's, and must outlive this object.
    DirectFile(int fd, std::string shown);
    ~DirectFile();
    DirectFile(const DirectFile&) = delete;
    DirectFile& operator=(const DirectFile&) = delete;

    // Threads of its own write and read, so an error may only come out of a later call. Throws
    // Error(system or no_space), Error(interrupted).
    void write(Bytes bytes);
    // Writes what is left, syncs the file and reads the rest again. Throws Error(system) also where
    // the disk holds anything but what was written. Nothing more may come.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
