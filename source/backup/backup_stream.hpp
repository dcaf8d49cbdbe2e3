#pragma once

#include "backup/backup_file.hpp"
#include "backup/member_reader.hpp"

namespace drunner {

// The zstd frame after the last that holds the SHA-256 of every byte before it: a skippable frame,
// which stock zstd passes over.
inline constexpr std::uint32_t trailer_magic = 0x184D2A5D;
inline constexpr std::size_t trailer_size = 8 + 32;
// No frame of a backup holds more of the tar than this; usually it is 1 to 2 MiB.
inline constexpr std::size_t frame_limit = std::size_t{16} << 20U;

// write_backup with its files read in another way.
BackupResult write_backup_reading(const BackupJob& job, const ByteSink& sink, Progress& progress,
                                  const ReadAt& read_at);

}  // namespace drunner
