#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "backup/growing_buffer.hpp"
#include "backup/member_reader.hpp"

namespace drunner {

// A volume that comes as a tar from a container engine, on its way into a backup: the same members
// as TreeWalk and member_reader make of a directory, as far as the engine hands them out. Throws
// Error(archive_damaged or archive_refused) for what is no tar of a directory, Error(usage) where a
// pattern leaves a file out that another name is kept of, and what the stream throws.
class StreamedTree {
  public:
    // `member` is the root's path in the archive.
    StreamedTree(const VolumeStream& stream, std::string member, const BackupVolume& volume,
                 std::vector<std::string> excludes);
    ~StreamedTree();
    StreamedTree(const StreamedTree&) = delete;
    StreamedTree& operator=(const StreamedTree&) = delete;

    struct Part {
        GrowingBuffer tar;
        ReadNotes notes;
    };
    // The next members, or a part of a large one: about `size` bytes of the archive. Empty at the
    // end.
    std::optional<Part> next(std::uint64_t size);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The entry of the volume's root, with its name in the tar; what follows is not read.
TarEntry streamed_root(const VolumeStream& stream);

// Bytes of content in the volume, read to its end or until they are more than `enough`.
std::uint64_t streamed_size(const VolumeStream& stream, std::uint64_t enough);

}  // namespace drunner
