#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.hpp"

namespace drunner::test {

// Text of that size without a period that a block could hide.
inline std::string numbers(std::size_t size) {
    std::string text;
    for (std::uint64_t i = 0; text.size() < size; ++i) {
        text += std::to_string(i * i);
    }
    text.resize(size);
    return text;
}

// Hands the text over in parts that end within blocks.
template <class Writer>
void write_in_parts(Writer& writer, std::string_view text) {
    constexpr std::size_t part = 70'001;
    for (; !text.empty(); text.remove_prefix(std::min(part, text.size()))) {
        writer.write(as_bytes(text.substr(0, part)));
    }
}

}  // namespace drunner::test
