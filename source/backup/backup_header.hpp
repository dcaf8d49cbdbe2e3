#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backup/backup_file.hpp"

namespace drunner {

// The JSON members of a backup, and the names of its members. FORMAT.md specifies both.

inline constexpr int backup_format = 1;          // what this drunner writes
inline constexpr int backup_minimum_reader = 1;  // the oldest format number that can read it

inline constexpr std::string_view header_member = "drunner/header.json";
inline constexpr std::string_view closing_member = "drunner/closing.json";
inline constexpr std::string_view scripts_member = "drunner/scripts";
inline constexpr std::string_view hook_member = "drunner/hook";
// A part of the embedded image, counted from 0: "drunner/image/000001" first.
std::string image_member(std::size_t index);
// The directory of the volume with that place in the header, counted from 0: "volumes/1" first.
std::string volume_member(std::size_t index);

std::string to_json(const BackupHeader& header);
// Throws Error(archive_damaged), and Error(archive_refused) that names both formats for one that is
// too new.
BackupHeader backup_header_from_json(std::string_view text);

struct BackupClosing {
    std::uint64_t members = 0;        // before the closing one
    std::uint64_t content_bytes = 0;  // stored in them
    std::string headers_sha256;       // of all their blocks that are not content

    bool operator==(const BackupClosing&) const = default;
};

std::string to_json(const BackupClosing& closing);
BackupClosing backup_closing_from_json(std::string_view text);

}  // namespace drunner
