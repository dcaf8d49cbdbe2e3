#pragma once

#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "core/bytes.hpp"
#include "core/secret.hpp"

namespace drunner {

// What every 7-Zip archive begins with (7zFormat.txt of the LZMA SDK, "SignatureHeader").
inline constexpr std::string_view seven_zip_magic = "7z\xbc\xaf\x27\x1c";

// The tar archives in the 7-Zip archives of the old tool, decoded by the program 7z, which gets the
// password on its stdin and a bounded memory.
class SevenZip {
  public:
    // Throws Error(system), with what to install, where PATH has no 7z, and Error(usage) for a key
    // that 7-Zip has no notion of.
    explicit SevenZip(const OpenKey& key);

    // What the archive holds, from its beginning. `file` is a descriptor of a regular file and must
    // outlive the answer; `shown` names the archive in messages. Throws Error(wrong_password)
    // where the password is missing or does not fit; the answer throws Error(archive_damaged), and
    // at its end only where all was whole.
    ByteSource open(int file, const std::string& shown);

    // Whether the last archive was encrypted.
    bool was_encrypted() const { return fitting_ > 0; }

  private:
    std::string program_;
    bool has_password_;
    std::vector<Secret> passwords_;  // to be tried; the first is none
    std::size_t fitting_ = 0;        // the one that opened the last archive
};

}  // namespace drunner
