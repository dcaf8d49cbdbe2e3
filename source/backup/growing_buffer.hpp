#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "core/bytes.hpp"

namespace drunner {

// Bytes that are appended to, without zeros being written first.
class GrowingBuffer {
  public:
    // Room for so many more at the end; good until the next call. They count after commit().
    std::byte* reserve(std::size_t more);
    void commit(std::size_t more) { size_ += more; }
    void append(Bytes bytes);
    // Keeps the room.
    void truncate(std::size_t size) { size_ = size; }
    std::size_t size() const { return size_; }
    Bytes bytes() const { return {data_.get(), size_}; }

  private:
    std::unique_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

// Buffers that threads hand around and use again: what is given back to the kernel after every
// megabyte costs as much as reading it.
class SpareBuffers {
  public:
    // Empty, with the room that it had; a new one where none is left.
    GrowingBuffer take();
    void give(GrowingBuffer buffer);

  private:
    std::mutex mutex_;
    std::vector<GrowingBuffer> buffers_;
};

}  // namespace drunner
