#include "backup/growing_buffer.hpp"

#include <algorithm>
#include <utility>

namespace drunner {

std::byte* GrowingBuffer::reserve(std::size_t more) {
    if (size_ + more > capacity_) {
        const std::size_t capacity = std::max(size_ + more, 2 * capacity_);
        auto data = std::make_unique_for_overwrite<std::byte[]>(capacity);
        std::copy_n(data_.get(), size_, data.get());
        data_ = std::move(data);
        capacity_ = capacity;
    }
    return data_.get() + size_;
}

void GrowingBuffer::append(Bytes bytes) {
    std::copy(bytes.begin(), bytes.end(), reserve(bytes.size()));
    commit(bytes.size());
}

GrowingBuffer SpareBuffers::take() {
    const std::lock_guard lock(mutex_);
    if (buffers_.empty()) {
        return {};
    }
    GrowingBuffer buffer = std::move(buffers_.back());
    buffers_.pop_back();
    return buffer;
}

void SpareBuffers::give(GrowingBuffer buffer) {
    buffer.truncate(0);
    const std::lock_guard lock(mutex_);
    buffers_.push_back(std::move(buffer));
}

}  // namespace drunner
