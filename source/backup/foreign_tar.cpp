#include "backup/foreign_tar.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <limits.h>

#include <array>
#include <string_view>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::size_t buffer_size = std::size_t{256} * 1024;
// Of all that stands before a member's content: libarchive keeps maps of sparse files in memory,
// and a stranger's may have any length.
constexpr std::uint64_t header_limit = std::uint64_t{4} << 20U;
// The last number is no user: chown(2) takes it for "leave it".
constexpr la_int64_t largest_id = 4294967294;
constexpr std::string_view capabilities = "security.capability";

struct TypeRow {
    unsigned file_type;
    TarType type;
};
constexpr std::array<TypeRow, 6> types{TypeRow{AE_IFREG, TarType::file},
                                       TypeRow{AE_IFDIR, TarType::directory},
                                       TypeRow{AE_IFLNK, TarType::symlink},
                                       TypeRow{AE_IFIFO, TarType::fifo},
                                       TypeRow{AE_IFCHR, TarType::character_device},
                                       TypeRow{AE_IFBLK, TarType::block_device}};

// Names from pax records are UTF-8, which the C locale cannot express as a plain string.
const char* path_of(archive_entry* entry) {
    const char* path = archive_entry_pathname(entry);
    return path == nullptr ? archive_entry_pathname_utf8(entry) : path;
}

const char* hard_link_of(archive_entry* entry) {
    const char* target = archive_entry_hardlink(entry);
    return target == nullptr ? archive_entry_hardlink_utf8(entry) : target;
}

const char* symlink_of(archive_entry* entry) {
    const char* target = archive_entry_symlink(entry);
    return target == nullptr ? archive_entry_symlink_utf8(entry) : target;
}

}  // namespace

// No exception may pass through libarchive, which is C.
struct ForeignTar::Callbacks {
    static la_ssize_t read(archive*, void* client, const void** bytes) {
        auto& tar = *static_cast<ForeignTar*>(client);
        try {
            if (tar.header_end_ > 0 && tar.read_bytes_ > tar.header_end_) {
                tar.damaged(
                    fmt::format("a header in it has more than {}", human_size(header_limit)));
            }
            const std::size_t got = tar.source_(tar.buffer_);
            tar.read_bytes_ += got;
            *bytes = tar.buffer_.data();
            return static_cast<la_ssize_t>(got);
        } catch (...) {
            tar.failure_ = std::current_exception();
            return -1;
        }
    }
};

ForeignTar::ForeignTar(ByteSource source, std::string shown)
    : source_(std::move(source)),
      shown_(std::move(shown)),
      buffer_(buffer_size),
      archive_(archive_read_new(), archive_read_free) {
    if (!archive_ || archive_read_support_format_tar(archive_.get()) != ARCHIVE_OK) {
        throw Error(ErrorKind::system, "libarchive cannot read tar archives");
    }
    if (archive_read_open(archive_.get(), this, nullptr, Callbacks::read, nullptr) != ARCHIVE_OK) {
        damaged_as_archive_says();
    }
}

ForeignTar::~ForeignTar() = default;

void ForeignTar::rethrow() const {
    if (failure_) {
        std::rethrow_exception(failure_);
    }
}

void ForeignTar::damaged(const std::string& why) const {
    rethrow();
    throw Error(ErrorKind::archive_damaged,
                fmt::format("the backup is damaged: {}: {}", shown_, why));
}

void ForeignTar::damaged_as_archive_says() const {
    const char* why = archive_error_string(archive_.get());
    damaged(why == nullptr ? "it is no tar archive" : printable(why));
}

std::string ForeignTar::relative(const char* path) const {
    if (path == nullptr || *path == '\0') {
        damaged("a member has no readable name");
    }
    const auto refuse = [&](const char* why) {
        throw Error(ErrorKind::archive_refused,
                    fmt::format("'{}' in {} {}", printable(path), shown_, why));
    };
    if (*path == '/') {
        refuse("is an absolute path");
    }
    std::string result;
    for (const std::string& part : split(path, '/')) {
        if (part == "..") {
            refuse("leads up");
        }
        if (!part.empty() && part != ".") {
            result += result.empty() ? part : "/" + part;
        }
    }
    return result;
}

void ForeignTar::finish() {
    ended_ = true;
    // Where the last header was looked for: what ends there had no closing blocks.
    if (archive_read_header_position(archive_.get()) >= static_cast<la_int64_t>(read_bytes_)) {
        damaged("it is truncated");
    }
    while (source_(buffer_) > 0) {
        check_cancellation();
    }
}

std::optional<TarEntry> ForeignTar::next() {
    if (ended_) {
        return std::nullopt;
    }
    if (inside_ && archive_read_data_skip(archive_.get()) < ARCHIVE_WARN) {
        damaged_as_archive_says();
    }
    archive_entry* found = nullptr;
    header_end_ = read_bytes_ + header_limit;
    const int result = archive_read_next_header(archive_.get(), &found);
    header_end_ = 0;
    rethrow();
    if (result == ARCHIVE_EOF) {
        finish();
        return std::nullopt;
    }
    // A warning means a name that is not text in this locale: the bytes are there all the same.
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        damaged_as_archive_says();
    }
    inside_ = true;
    TarEntry entry;
    entry.path = relative(path_of(found));
    const auto refuse = [&](const char* why) {
        throw Error(ErrorKind::archive_refused,
                    fmt::format("'{}' in {} {}", printable(entry.path), shown_, why));
    };
    size_ = 0;
    position_ = 0;
    sparse_ = false;
    if (const char* target = hard_link_of(found)) {
        entry.type = TarType::hard_link;
        entry.target = relative(target);
    } else {
        const TypeRow* row = nullptr;
        for (const TypeRow& one : types) {
            row = one.file_type == archive_entry_filetype(found) ? &one : row;
        }
        if (row == nullptr) {
            refuse("is of a kind that no volume has");
        }
        entry.type = row->type;
    }
    if (entry.type == TarType::symlink) {
        const char* target = symlink_of(found);
        entry.target = target == nullptr ? "" : target;
        if (entry.target.empty() || entry.target.size() >= PATH_MAX) {
            damaged(fmt::format("the link '{}' leads to no path", printable(entry.path)));
        }
    }
    if (entry.type == TarType::file) {
        if (archive_entry_size_is_set(found) == 0 || archive_entry_size(found) < 0) {
            damaged(fmt::format("'{}' has no size", printable(entry.path)));
        }
        size_ = static_cast<std::uint64_t>(archive_entry_size(found));
        sparse_ = archive_entry_sparse_count(found) > 0;
    }
    if (archive_entry_uid(found) < 0 || archive_entry_uid(found) > largest_id ||
        archive_entry_gid(found) < 0 || archive_entry_gid(found) > largest_id) {
        damaged(fmt::format("'{}' has no possible owner", printable(entry.path)));
    }
    if (entry.type == TarType::character_device || entry.type == TarType::block_device) {
        entry.device_major = static_cast<std::uint32_t>(archive_entry_rdevmajor(found));
        entry.device_minor = static_cast<std::uint32_t>(archive_entry_rdevminor(found));
    }
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t length = 0;
    archive_entry_xattr_reset(found);
    while (archive_entry_xattr_next(found, &name, &value, &length) == ARCHIVE_OK) {
        if (name == capabilities) {
            entry.attributes.emplace_back(name,
                                          std::string(static_cast<const char*>(value), length));
        }
    }
    entry.size = size_;
    entry.sparse = sparse_;
    entry.mode = static_cast<mode_t>(archive_entry_perm(found)) & 07777U;
    entry.uid = static_cast<uid_t>(archive_entry_uid(found));
    entry.gid = static_cast<gid_t>(archive_entry_gid(found));
    entry.mtime_seconds = archive_entry_mtime(found);
    entry.mtime_nanoseconds = static_cast<std::uint32_t>(archive_entry_mtime_nsec(found));
    return entry;
}

ContentSource::Part ForeignTar::content() {
    while (position_ < size_) {
        const void* bytes = nullptr;
        std::size_t count = 0;
        la_int64_t offset = 0;
        const int result = archive_read_data_block(archive_.get(), &bytes, &count, &offset);
        rethrow();
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN && result != ARCHIVE_EOF) {
            damaged_as_archive_says();
        }
        const auto begin = static_cast<std::uint64_t>(offset);
        const bool gap = begin != position_ && !(sparse_ && begin > position_ && begin <= size_);
        if (result == ARCHIVE_EOF) {
            if (!sparse_) {
                damaged("a file in it ends too early");
            }
            position_ = size_;
        } else if (gap || count > size_ - begin) {
            damaged("a file in it is not in order");
        } else if (count > 0) {
            position_ = begin + count;
            return {begin, Bytes(static_cast<const std::byte*>(bytes), count)};
        }
    }
    return {};
}

}  // namespace drunner
