#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "backup/age.hpp"
#include "backup/crypto.hpp"

namespace drunner::test {

inline constexpr std::string_view age_version_line = "age-encryption.org/v1\n";

inline std::string decrypt(const std::string& sealed, const std::string& password,
                           const std::vector<Key32>& identities = {}, std::size_t step = 1000) {
    std::size_t position = 0;
    AgeDecryptor decryptor(
        [&](std::span<std::byte> buffer) {
            const std::size_t part = std::min({buffer.size(), sealed.size() - position, step});
            std::memcpy(buffer.data(), sealed.data() + position, part);
            position += part;
            return part;
        },
        Secret(password), identities);
    std::string text;
    std::vector<std::byte> buffer(5000);
    while (const std::size_t got = decryptor.read(buffer)) {
        text += as_text(Bytes(buffer).first(got));
    }
    return text;
}

// A file whose header holds these stanzas and a right MAC, and whose payload is made by hand.
struct HandMadeAge {
    std::array<std::byte, 16> file_key{};

    std::string header(const std::string& stanzas) const {
        const std::string text = std::string(age_version_line) + stanzas + "---";
        const Key32 mac = hmac_sha256(hkdf_sha256(file_key, {}, "header"), as_bytes(text));
        return fmt::format("{} {}\n", text, base64_encode(mac));
    }

    std::string scrypt_stanza(const std::string& work_factor = "2") const {
        const std::string salt(16, 's');
        const Key32 key = scrypt("pass", as_bytes("age-encryption.org/v1/scrypt" + salt), 2);
        return fmt::format("-> scrypt {} {}\n{}\n", base64_encode(as_bytes(salt)), work_factor,
                           base64_encode(as_bytes(body(key))));
    }

    std::string body(const Key32& key) const {
        std::string sealed(32, '\0');
        ChaChaPoly(key).seal({}, file_key, reinterpret_cast<std::byte*>(sealed.data()));
        return sealed;
    }

    // A stanza that opens for the owner of the secret that this is the public share of.
    std::string x25519_stanza(const Key32& recipient) const {
        Key32 secret{};
        fill_random(secret);
        const Key32 share = x25519_public(secret);
        const std::string salt = std::string(as_text(share)) + std::string(as_text(recipient));
        const Key32 key =
            hkdf_sha256(*x25519(secret, recipient), as_bytes(salt), "age-encryption.org/v1/X25519");
        return fmt::format("-> X25519 {}\n{}\n", base64_encode(share),
                           base64_encode(as_bytes(body(key))));
    }

    struct Chunk {
        std::string plain;
        unsigned counter = 0;
        unsigned flag = 0;  // 1: the last
    };
    std::string payload(const std::vector<Chunk>& chunks) const {
        const std::string nonce(16, 'n');
        ChaChaPoly cipher(hkdf_sha256(file_key, as_bytes(nonce), "payload"));
        std::string text = nonce;
        for (const Chunk& chunk : chunks) {
            ChaChaPoly::Nonce chunk_nonce{};
            chunk_nonce[10] = static_cast<std::byte>(chunk.counter);
            chunk_nonce[11] = static_cast<std::byte>(chunk.flag);
            std::string sealed(chunk.plain.size() + 16, '\0');
            cipher.seal(chunk_nonce, as_bytes(chunk.plain),
                        reinterpret_cast<std::byte*>(sealed.data()));
            text += sealed;
        }
        return text;
    }

    std::string file(const std::string& stanzas) const {
        return header(stanzas) + payload({{"hello", 0, 1}});
    }
};

}  // namespace drunner::test
