#include "backup/direct_io.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {

AlignedBlock::AlignedBlock()
    : data_(static_cast<std::byte*>(std::aligned_alloc(alignment, capacity))) {
    if (!data_) {
        throw std::bad_alloc();
    }
}

Bytes AlignedBlock::append(Bytes bytes) {
    const std::size_t part = std::min(bytes.size(), capacity - size);
    std::memcpy(data_.get() + size, bytes.data(), part);
    size += part;
    return bytes.subspan(part);
}

void AlignedBlock::pad() {
    const std::size_t padded = (size + alignment - 1) / alignment * alignment;
    std::memset(data_.get() + size, 0, padded - size);
    size = padded;
}

DirectMode::DirectMode(int fd, std::string shown)
    : fd_(fd),
      shown_(std::move(shown)),
      on_(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT) == 0) {}

void DirectMode::leave() {
    on_ = false;
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) & ~O_DIRECT);
}

void DirectMode::write(Bytes bytes, std::uint64_t position) {
    while (!bytes.empty()) {
        const ssize_t written =
            pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(position));
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
            position += static_cast<std::uint64_t>(written);
        } else if (errno == EINVAL && on_) {
            leave();
        } else if (errno != EINTR) {
            throw system_error(fmt::format("cannot write '{}'", printable(shown_)), errno);
        }
    }
}

void DirectWriter::write(Bytes bytes) {
    while (!bytes.empty()) {
        bytes = block_.append(bytes);
        if (block_.size == AlignedBlock::capacity) {
            mode_.write(block_.bytes(), position_);
            position_ += std::exchange(block_.size, 0);
        }
    }
}

void DirectWriter::finish() {
    const std::size_t whole = block_.size / AlignedBlock::alignment * AlignedBlock::alignment;
    mode_.write(block_.bytes().first(whole), position_);
    mode_.leave();
    mode_.write(block_.bytes().subspan(whole), position_ + whole);
}

}  // namespace drunner
