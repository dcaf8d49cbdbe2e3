#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/digest.hpp"
#include "core/bytes.hpp"

namespace drunner {

// The tar dialect of backups: POSIX.1-2001 pax interchange with the vendors' records
// SCHILY.xattr.*, SCHILY.acl.* and GNU.sparse 1.0, which GNU tar and libarchive read. FORMAT.md
// specifies it.

inline constexpr std::size_t tar_block = 512;

enum class TarType {
    file,
    directory,
    symlink,
    hard_link,
    fifo,
    character_device,
    block_device,
};

struct TarExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

struct TarEntry {
    std::string path;  // relative, without a slash at its end
    TarType type = TarType::file;
    mode_t mode = 0;  // permissions and set-id bits
    uid_t uid = 0;
    gid_t gid = 0;
    std::int64_t mtime_seconds = 0;
    std::uint32_t mtime_nanoseconds = 0;
    std::uint64_t size = 0;  // of the file, holes included
    std::string target;      // of symbolic and hard links
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
    std::vector<std::pair<std::string, std::string>> attributes;  // extended ones, ACLs among them
    bool sparse = false;
    std::vector<TarExtent> extents;  // where the stored bytes belong, in order; sparse only
};

// Bytes of content in the archive: the size, or what the extents hold.
std::uint64_t stored_size(const TarEntry& entry);
// How ACLs are written: as text, which tar programs read, or as the attributes that they are, which
// container engines read.
enum class AclRecords { text, attributes };
// All blocks that come before the content.
std::string encode_tar_header(const TarEntry& entry, AclRecords acls = AclRecords::text);
inline std::uint64_t tar_padding(std::uint64_t size) {
    return (tar_block - size % tar_block) % tar_block;
}
// The blocks that end an archive.
inline std::string tar_ending() {
    return std::string(2 * tar_block, '\0');
}

// The content of the member that a reader of archives stands at.
class ContentSource {
  public:
    virtual ~ContentSource() = default;

    struct Part {
        std::uint64_t offset = 0;  // in the file; without a gap where the entry is not sparse
        Bytes bytes;               // good until the next call of anything
    };
    // The next bytes; none at the end.
    virtual Part content() = 0;
};

// The content of a file as a whole, its holes as zeros.
class WholeContent {
  public:
    WholeContent(ContentSource& source, std::uint64_t size) : source_(source), left_(size) {}

    // The next bytes, good until the next call; none at the end.
    Bytes next();

  private:
    ContentSource& source_;
    ContentSource::Part part_;
    std::uint64_t position_ = 0;
    std::uint64_t left_;
    bool ended_ = false;  // of the source
};

// Reads a tar stream, strictly: what encode_tar_header does not write is refused, but for pax
// records that it does not know, which change nothing. Throws Error(archive_damaged), and
// Error(archive_refused) for kinds of members that a backup has not.
class TarReader final : public ContentSource {
  public:
    // Answers the next bytes of the stream, good until the next call; none at its end.
    using Source = std::function<Bytes()>;

    explicit TarReader(Source source) : source_(std::move(source)) {}

    // Passes over what is left of the member before. Empty at the archive's end, which only zeros
    // may follow.
    std::optional<TarEntry> next();

    Part content() override;

    // SHA-256 of all blocks that came before the contents of the members before the current one.
    std::string headers_sha256() const { return headers_.hex_so_far(); }

  private:
    struct Records;

    void need();
    void read_exactly(std::span<std::byte> bytes);
    bool read_block(std::array<std::byte, tar_block>& block);
    std::string read_text(std::uint64_t size);
    void read_sparse_map(TarEntry& entry, std::uint64_t& stored);
    void finish_archive();
    void skip_content();

    Source source_;
    Bytes block_;
    Sha256 headers_;
    std::string header_;  // of the current member
    std::uint64_t left_ = 0;
    std::uint64_t padding_ = 0;
    std::vector<TarExtent> extents_;
    std::size_t extent_ = 0;
    std::uint64_t extent_position_ = 0;
    bool ended_ = false;
};

}  // namespace drunner
