#pragma once

#include <zstd.h>

#include <string>
#include <string_view>
#include <utility>

#include "archive/digest.hpp"
#include "backup/backup_header.hpp"
#include "backup/tar.hpp"
#include "backup_fixture.hpp"
#include "core/error.hpp"
#include "fakes/tar_text.hpp"

namespace drunner::test {

// Backups that no drunner writes, put together from their parts.

inline std::string compressed(const std::string& tar) {
    std::string frame(ZSTD_compressBound(tar.size()), '\0');
    frame.resize(ZSTD_compress(frame.data(), frame.size(), tar.data(), tar.size(), 1));
    return frame;
}

inline std::string with_trailer(const std::string& frames) {
    std::string all = frames + std::string("\x5d\x2a\x4d\x18\x20\0\0\0", 8);
    const std::string sum = sha256_hex(as_bytes(frames));
    for (std::size_t i = 0; i < sum.size(); i += 2) {
        all += static_cast<char>(std::stoi(sum.substr(i, 2), nullptr, 16));
    }
    return all;
}

inline std::string json_member(std::string_view name, const std::string& json) {
    return tar_member({.name = std::string(name), .content = json, .mode = 0600});
}

inline std::string header_json() {
    return to_json(job_of("").header);
}

// A whole backup, right in everything but the members that are given: even its closing member fits.
inline std::string hand_made(const std::string& members,
                             const std::string& header = header_json()) {
    const std::string body = json_member(header_member, header) + members;
    BackupClosing closing;
    bool given = false;
    TarReader reader(
        [&]() -> Bytes { return std::exchange(given, true) ? Bytes() : as_bytes(body); });
    try {
        while (const auto entry = reader.next()) {
            ++closing.members;
            closing.content_bytes += stored_size(*entry);
        }
    } catch (const Error&) {
        // There is no end yet, and some members cannot even be read.
    }
    closing.headers_sha256 = reader.headers_sha256();
    return with_trailer(
        compressed(body + json_member(closing_member, to_json(closing)) + tar_end()));
}

inline const std::string root = tar_member({.name = "volumes/1/", .type = '5', .mode = 0755});

}  // namespace drunner::test
