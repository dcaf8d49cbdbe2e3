#include "backup/read_ahead.hpp"

#include <fcntl.h>
#include <sys/uio.h>

#include <cerrno>

namespace drunner {
namespace {

// Files between two that are looked at to learn whether their neighbours are in memory.
constexpr unsigned probe_interval = 16;

// True also where the file system cannot tell.
bool must_come_from_disk(int fd) {
    char byte = 0;
    const iovec part{&byte, 1};
    return preadv2(fd, &part, 1, 0, RWF_NOWAIT) < 0 &&
           (errno == EAGAIN || errno == EOPNOTSUPP || errno == ENOSYS);
}

}  // namespace

void ReadAhead::want(const FoundEntry& entry) {
    if (!S_ISREG(entry.status.st_mode) || entry.status.st_size == 0 || !entry.hard_link.empty()) {
        return;
    }
    if (until_probe_ > 0) {
        --until_probe_;
        if (!from_disk_) {
            return;
        }
    }
    FileDescriptor own;
    if (!entry.opened.valid()) {
        // Who reads it for the backup says what is wrong with it.
        own.reset(openat(entry.directory->fd.get(), entry.name.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!own.valid()) {
            return;
        }
    }
    const int fd = own.valid() ? own.get() : entry.opened.get();
    if (until_probe_ == 0) {
        from_disk_ = must_come_from_disk(fd);
        until_probe_ = probe_interval;
    }
    if (from_disk_) {
        want(fd, 0, static_cast<std::uint64_t>(entry.status.st_size));
    }
}

void ReadAhead::want(int fd, std::uint64_t offset, std::uint64_t size) {
    posix_fadvise(fd, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
}

}  // namespace drunner
