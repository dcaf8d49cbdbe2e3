#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/bytes.hpp"

namespace drunner {

// Memory that every disk takes: whole blocks at such an address.
class AlignedBlock {
  public:
    static constexpr std::size_t alignment = 4096;
    static constexpr std::size_t capacity = std::size_t{1} << 20U;

    AlignedBlock();

    // As much of the bytes as there is room for; answers the rest.
    Bytes append(Bytes bytes);
    // Fills up to the alignment with zeros.
    void pad();
    std::byte* data() { return data_.get(); }
    Bytes bytes() const { return Bytes(data_.get(), size); }

    std::size_t size = 0;

  private:
    struct Deleter {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::unique_ptr<std::byte, Deleter> data_;
};

// A descriptor that reads and writes past the page cache (O_DIRECT), for as long as its file system
// can do that: EINVAL ends it. Threads may share it.
class DirectMode {
  public:
    // The descriptor stays the caller's. `shown` is the file's path, for messages.
    DirectMode(int fd, std::string shown);

    bool is_on() const { return on_; }
    // From here on through the page cache.
    void leave();
    // Bytes of an AlignedBlock to a multiple of its alignment, all of them. Throws Error(system or
    // no_space).
    void write(Bytes bytes, std::uint64_t position);

  private:
    const int fd_;
    const std::string shown_;
    std::atomic<bool> on_;
};

// Writes a file from its beginning to its end past the page cache, but for the last bytes where
// they fill no block. A large file leaves the memory to others, costs a copy less, and keeps the
// disk busy before anything is synced.
class DirectWriter {
  public:
    // As for DirectMode; throws what that throws.
    DirectWriter(int fd, std::string shown) : mode_(fd, std::move(shown)) {}

    void write(Bytes bytes);
    // Nothing more may come. The file is not synced.
    void finish();

  private:
    DirectMode mode_;
    AlignedBlock block_;
    std::uint64_t position_ = 0;  // of the block in the file
};

}  // namespace drunner
