#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup/growing_buffer.hpp"
#include "backup/tar.hpp"
#include "backup/tree_walk.hpp"
#include "core/bytes.hpp"

namespace drunner {

// A regular file that is larger than one piece of a backup and is read by several threads.
struct LargeFile {
    FileDescriptor fd;
    TarEntry entry;
    std::string shown;               // its path, for messages
    std::vector<TarExtent> extents;  // of its stored bytes: the whole file, or where data is
};

// What turned up while members were read.
struct ReadNotes {
    std::vector<std::string> vanished;  // went or grew
    std::uint64_t files = 0;
    std::uint64_t content_bytes = 0;
    std::uint64_t members = 0;
    std::string headers;  // a copy of all blocks that are not content
};

// How a file is read; tests put a file that changes in its place.
using ReadAt = std::function<ssize_t(int fd, std::byte* buffer, std::size_t size, off_t offset)>;

// Opens and describes the file; empty where it vanished. Throws Error(system).
std::shared_ptr<const LargeFile> open_large_file(FoundEntry entry);

// Appends the file's header.
void append_header(const LargeFile& file, GrowingBuffer& tar, ReadNotes& notes);
// Appends `size` of its stored bytes from `position`, and the padding after the last. Throws
// Error(in_use) where the file has become shorter three times.
void append_content(const LargeFile& file, std::uint64_t position, std::uint64_t size,
                    const ReadAt& read_at, GrowingBuffer& tar, ReadNotes& notes);

// Appends the whole member, whatever it is; nothing where it vanished. Throws Error(system),
// Error(in_use).
void append_member(FoundEntry found, const ReadAt& read_at, GrowingBuffer& tar, ReadNotes& notes);

// Appends a file of drunner's own.
void append_text(const std::string& path, std::string_view text, GrowingBuffer& tar,
                 ReadNotes& notes);

}  // namespace drunner
