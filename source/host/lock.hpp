#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "host/file.hpp"

namespace drunner {

// A lock that the kernel holds for this process (flock on a file in /run/drunner): it goes with the
// process, however that ends. The file's content names the holder for the one who is refused.
class FileLock {
  public:
    // Waits up to `wait` for it. Throws Error(locked) naming the holder's pid, command and age;
    // Error(interrupted). Where the holder admitted an ancestor of this process (a hook of the
    // operation that holds it called drunner) the lock counts as held: nested() is then true.
    static FileLock acquire(const std::string& path, const std::string& command,
                            std::chrono::seconds wait);

    // Says who holds the lock, without waiting or taking it: empty where nobody does, or where the
    // holder admitted an ancestor of this process. "pid 12, 'drunner update blog', 5 s ago".
    static std::string holder(const std::string& path);

    FileLock(FileLock&&) noexcept = default;
    FileLock& operator=(FileLock&&) = delete;
    // Takes this holder's name out of the file before it lets go.
    ~FileLock();

    bool nested() const { return nested_; }

    // The lock counts as held for this child of the holder and all below it, instead of the one
    // that was admitted before. Only it: a process that works on several services holds several
    // locks, and a hook of one service is not to be taken for one of another's.
    void admit(pid_t child) const;

  private:
    FileLock() = default;

    FileDescriptor fd_;
    bool nested_ = false;
};

}  // namespace drunner
