#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.hpp"

namespace drunner {

// The primitives that the age format is made of, by OpenSSL. All throw Error(system) where the
// library itself fails.

using Key32 = std::array<std::byte, 32>;

void fill_random(std::span<std::byte> bytes);
void wipe(std::span<std::byte> bytes);

// HKDF-SHA-256 (RFC 5869), 32 bytes of output.
Key32 hkdf_sha256(Bytes key, Bytes salt, std::string_view info);
Key32 hmac_sha256(Bytes key, Bytes message);
bool equal_in_constant_time(Bytes a, Bytes b);

// scrypt (RFC 7914) with N = 2^log_n, r = 8, p = 1: needs 2^log_n KiB of memory.
Key32 scrypt(std::string_view password, Bytes salt, int log_n);

// The secret's public share (RFC 7748).
Key32 x25519_public(const Key32& secret);
// Empty where the share is of low order, so that the result would be zeros.
std::optional<Key32> x25519(const Key32& secret, const Key32& share);

// ChaCha20-Poly1305 (RFC 7539) with 16 bytes of tag after the text; no additional data.
class ChaChaPoly {
  public:
    static constexpr std::size_t tag_size = 16;
    using Nonce = std::array<std::byte, 12>;

    explicit ChaChaPoly(const Key32& key);
    ~ChaChaPoly();
    ChaChaPoly(const ChaChaPoly&) = delete;
    ChaChaPoly& operator=(const ChaChaPoly&) = delete;

    // `sealed` takes plain.size() + tag_size bytes.
    void seal(const Nonce& nonce, Bytes plain, std::byte* sealed);
    // `plain` takes sealed.size() - tag_size bytes. False where it is not authentic.
    bool open(const Nonce& nonce, Bytes sealed, std::byte* plain);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Standard base 64 without padding (RFC 4648, section 4).
std::string base64_encode(Bytes bytes);
// Empty where the text is not the canonical encoding of anything.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace drunner
