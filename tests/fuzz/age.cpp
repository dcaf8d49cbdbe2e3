#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "backup/age.hpp"
#include "backup/age_key.hpp"
#include "core/error.hpp"

// Any bytes as an age file, as an identity file and as a recipient: an Error or an end, nothing
// else. The work factor is bounded by an empty password, for which no key is ever derived.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::size_t position = 0;
    const auto source = [&](std::span<std::byte> buffer) {
        const std::size_t part = std::min(buffer.size(), size - position);
        std::memcpy(buffer.data(), data + position, part);
        position += part;
        return part;
    };
    const Key32 identity{std::byte{8}};
    try {
        AgeDecryptor decryptor(source, Secret(), {identity});
        std::array<std::byte, 1000> buffer{};
        while (decryptor.read(buffer) > 0) {
        }
    } catch (const Error&) {
    }
    try {
        parse_age_identities(text, "identities");
    } catch (const Error&) {
    }
    try {
        const Key32 recipient = parse_age_recipient(text);
        if (format_age_recipient(recipient) != text) {
            std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}
