#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_file.hpp"
#include "core/bytes.hpp"

namespace drunner {

// The backups of the drunner of 2016: FORMAT.md, "Backups of the old tool".

bool begins_as_old_backup(std::string_view bytes);

// What such a backup says of itself.
struct OldVariables {
    std::string service;               // empty where it does not say
    std::string image;                 // a reference, often without a tag
    std::vector<std::string> volumes;  // names of Docker volumes, in the order of their paths

    bool operator==(const OldVariables&) const = default;
};

// Reads `_oldvariables` or `oldvariables.sh`, which are bash, as data; nothing is executed. Throws
// Error(archive_refused) for what only bash could tell, Error(archive_damaged) for what nobody can.
OldVariables parse_old_variables(std::string_view text);

// What is packed in the archive `file` (a descriptor of a regular file), from its beginning;
// `shown` names it in messages.
using OpenPacked = std::function<ByteSource(int file, const std::string& shown)>;

// Reads the file once to its end, so that its parts are known to be there; restores and verifying
// read it once more. The descriptor must outlive the reader.
std::unique_ptr<BackupReader> read_old_backup(int file, OpenPacked open);

// The same by 7z. `whole` is what `fd` holds, its beginning included: where that is no regular
// file, it is written to one first. Throws what SevenZip throws.
std::unique_ptr<BackupReader> open_old_backup(int fd, const ByteSource& whole, const OpenKey& key);

}  // namespace drunner
