#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace drunner {

using Bytes = std::span<const std::byte>;

// Takes bytes as they come, in order; throws to stop the stream.
using ByteSink = std::function<void(Bytes)>;

// Fills the front of the buffer and says how many bytes it wrote; 0 means the end.
using ByteSource = std::function<std::size_t(std::span<std::byte>)>;

inline Bytes as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}

inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace drunner
