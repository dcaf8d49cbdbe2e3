#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/bytes.hpp"

namespace drunner {

// A file that is written from its beginning to its end, and then read again, past the page cache
// where the file system can do that: what nobody reads soon needs no copy in memory, and what is
// read again must come from the disk.
class DirectFile {
  public:
    // `shown` is the file's path, for messages. The descriptor is open for reading and writing,
    // stays the caller's, and must outlive this object.
    DirectFile(int fd, std::string shown);
    ~DirectFile();
    DirectFile(const DirectFile&) = delete;
    DirectFile& operator=(const DirectFile&) = delete;

    // A thread of its own writes, so an error may only come out of a later call. Throws
    // Error(system or no_space).
    void write(Bytes bytes);
    // Writes what is left and syncs the file; nothing more may come.
    void finish();
    // SHA-256 of what the disk holds; after finish(). Throws Error(system), Error(interrupted).
    std::string read_again();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
