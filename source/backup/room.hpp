#pragma once

#include <cstdint>
#include <mutex>
#include <string>

namespace drunner {

// Keeps a restore from filling the file system to its last byte, on which the engine and every
// other service may write: an archive of zeros is small, and nobody knows its size before its end.
// May be used by several threads.
class Room {
  public:
    // The descriptor must outlive this object; `path` is for messages. Before anything is spent.
    void watch(int directory, std::string path);

    // An entry, or more of one, with so much content is about to be written. Throws
    // Error(no_space), Error(system).
    void spend(std::uint64_t bytes);

  private:
    void look(std::uint64_t cost);

    std::mutex mutex_;
    int directory_ = -1;
    std::string path_;
    std::uint64_t bytes_ = 0;
    std::uint64_t entries_ = 0;
};

}  // namespace drunner
