#include "backup/member_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "backup/acl_text.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr int attempts = 3;
// A map of a sparse file stays small: where it would be longer, small holes are stored as zeros.
constexpr std::size_t most_extents = 8192;

Error cannot_read(const std::string& path, int error_number) {
    return system_error(fmt::format("cannot read '{}'", printable(path)), error_number);
}

Error shrank(const std::string& path) {
    return Error(
        ErrorKind::in_use,
        fmt::format("'{}' became shorter {} times while it was read", printable(path), attempts),
        "stop what writes it in backupstart, or give --stop");
}

bool is_gone(int error_number) {
    return error_number == ENOENT || error_number == ESTALE || error_number == ELOOP ||
           error_number == ENXIO;
}

bool is_kept_attribute(std::string_view name) {
    return name.starts_with("user.") || name.starts_with("trusted.") ||
           name.starts_with("security.") || name == acl_access_attribute ||
           name == acl_default_attribute;
}

// Calls `get` with a growing buffer until the answer fits.
template <class Get>
std::optional<std::string> attribute_text(const std::string& path, const Get& get) {
    std::string text(4096, '\0');
    while (true) {
        const ssize_t size = get(text.data(), text.size());
        if (size >= 0) {
            text.resize(static_cast<std::size_t>(size));
            return text;
        }
        if (errno == ENODATA || errno == ENOTSUP || is_gone(errno)) {
            return std::nullopt;
        }
        if (errno != ERANGE || text.size() > XATTR_SIZE_MAX) {
            throw cannot_read(path, errno);
        }
        text.resize(text.size() * 4);
    }
}

template <class List, class Get>
void read_attributes(TarEntry& entry, const List& list, const Get& get) {
    const std::optional<std::string> names = attribute_text(entry.path, list);
    if (!names) {
        return;
    }
    for (const std::string& name : split(*names, '\0')) {
        if (!is_kept_attribute(name)) {
            continue;
        }
        const auto value = attribute_text(entry.path, [&](char* buffer, std::size_t size) {
            return get(name.c_str(), buffer, size);
        });
        if (value) {
            entry.attributes.emplace_back(name, *value);
        }
    }
}

void read_attributes_of(TarEntry& entry, int fd) {
    read_attributes(
        entry, [&](char* buffer, std::size_t size) { return flistxattr(fd, buffer, size); },
        [&](const char* name, char* buffer, std::size_t size) {
            return fgetxattr(fd, name, buffer, size);
        });
}

// Of what cannot be opened: links, fifos, devices.
void read_attributes_by_name(TarEntry& entry, const FoundEntry& found) {
    const std::string path =
        fmt::format("/proc/self/fd/{}/{}", found.directory->fd.get(), found.name);
    read_attributes(
        entry,
        [&](char* buffer, std::size_t size) { return llistxattr(path.c_str(), buffer, size); },
        [&](const char* name, char* buffer, std::size_t size) {
            return lgetxattr(path.c_str(), name, buffer, size);
        });
}

TarEntry describe(std::string path, const struct stat& status) {
    TarEntry entry;
    entry.path = std::move(path);
    entry.mode = status.st_mode & 07777U;
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
    entry.mtime_seconds = status.st_mtim.tv_sec;
    entry.mtime_nanoseconds = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
    return entry;
}

// Merges extents over ever larger holes until there are few enough.
void limit_extents(std::vector<TarExtent>& extents) {
    for (std::uint64_t hole = 65536; extents.size() > most_extents; hole *= 2) {
        std::vector<TarExtent> merged;
        for (const TarExtent& extent : extents) {
            if (!merged.empty() &&
                extent.offset - (merged.back().offset + merged.back().length) < hole) {
                merged.back().length = extent.offset + extent.length - merged.back().offset;
            } else {
                merged.push_back(extent);
            }
        }
        extents = std::move(merged);
    }
}

// Where the file has data; makes the entry sparse where it has holes.
void find_holes(TarEntry& entry, int fd, const struct stat& status) {
    const auto allocated = static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (entry.size == 0 || allocated >= entry.size) {
        return;
    }
    std::vector<TarExtent> extents;
    const auto size = static_cast<off_t>(entry.size);
    off_t position = 0;
    while (position < size) {
        const off_t data = lseek(fd, position, SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            return;  // a file system without holes: compressed, say
        }
        if (data < 0 || data >= size) {
            break;
        }
        const off_t hole = lseek(fd, data, SEEK_HOLE);
        position = hole < 0 ? size : std::min(hole, size);
        extents.push_back(
            {static_cast<std::uint64_t>(data), static_cast<std::uint64_t>(position - data)});
        if (extents.size() > 2 * most_extents) {
            limit_extents(extents);
        }
    }
    limit_extents(extents);
    if (extents.size() == 1 && extents.front().length == entry.size) {
        return;
    }
    // GNU tar learns the length of a file that ends in a hole from an empty extent at its end.
    if (extents.empty() || extents.back().offset + extents.back().length < entry.size) {
        extents.push_back({entry.size, 0});
    }
    entry.sparse = true;
    entry.extents = std::move(extents);
}

// Opens the entry's file; invalid where it vanished or became something else.
FileDescriptor open_file(FoundEntry& found) {
    if (found.opened.valid()) {
        return std::move(found.opened);
    }
    FileDescriptor fd(openat(found.directory->fd.get(), found.name.c_str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid() && !is_gone(errno)) {
        throw cannot_read(found.path(), errno);
    }
    return fd;
}

// The file as it is now, but not longer than it was found. False where it is no file any more.
bool describe_file(const FoundEntry& found, int fd, TarEntry& entry, struct stat& status) {
    if (fstat(fd, &status) != 0) {
        throw cannot_read(found.path(), errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return false;
    }
    entry = describe(found.path(), status);
    entry.size = static_cast<std::uint64_t>(std::min(status.st_size, found.status.st_size));
    find_holes(entry, fd, status);
    read_attributes_of(entry, fd);
    return true;
}

bool has_grown(int fd, std::uint64_t size) {
    struct stat status {};
    return fstat(fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) > size;
}

// False where the file ends too early.
bool read_range(const LargeFile& file, std::uint64_t offset, std::uint64_t size,
                const ReadAt& read_at, GrowingBuffer& tar) {
    std::byte* buffer = tar.reserve(size);
    std::uint64_t done = 0;
    while (done < size) {
        const ssize_t got =
            read_at(file.fd.get(), buffer + done, size - done, static_cast<off_t>(offset + done));
        if (got == 0) {
            return false;
        }
        if (got < 0 && errno != EINTR) {
            throw cannot_read(file.shown, errno);
        }
        done += got < 0 ? 0 : static_cast<std::uint64_t>(got);
    }
    tar.commit(size);
    return true;
}

// The stored bytes from `position` on; false where the file ends too early.
bool read_stored(const LargeFile& file, std::uint64_t position, std::uint64_t size,
                 const ReadAt& read_at, GrowingBuffer& tar) {
    for (const TarExtent& extent : file.extents) {
        if (size == 0) {
            break;
        }
        if (position >= extent.length) {
            position -= extent.length;
            continue;
        }
        const std::uint64_t part = std::min(size, extent.length - position);
        if (!read_range(file, extent.offset + position, part, read_at, tar)) {
            return false;
        }
        size -= part;
        position = 0;
    }
    return true;
}

void append_padding(std::uint64_t size, GrowingBuffer& tar) {
    constexpr std::array<std::byte, tar_block> zeros{};
    tar.append(Bytes(zeros).first(tar_padding(size)));
}

void append_entry_header(const TarEntry& entry, GrowingBuffer& tar, ReadNotes& notes) {
    const std::string header = encode_tar_header(entry);
    tar.append(as_bytes(header));
    notes.headers += header;
    ++notes.members;
}

std::vector<TarExtent> stored_extents(const TarEntry& entry) {
    return entry.sparse ? entry.extents : std::vector{TarExtent{0, entry.size}};
}

void append_file(FoundEntry found, const ReadAt& read_at, GrowingBuffer& tar, ReadNotes& notes) {
    LargeFile file;
    file.shown = found.path();
    file.fd = open_file(found);
    struct stat status {};
    const std::size_t start = tar.size();
    // Of a file that shrinks while it is read nothing is kept, and it is read from its beginning.
    for (int attempt = 0; attempt < attempts; ++attempt) {
        if (!file.fd.valid() || !describe_file(found, file.fd.get(), file.entry, status)) {
            notes.vanished.push_back(file.shown);
            return;
        }
        file.extents = stored_extents(file.entry);
        const std::string header = encode_tar_header(file.entry);
        const std::uint64_t stored = stored_size(file.entry);
        tar.append(as_bytes(header));
        if (read_stored(file, 0, stored, read_at, tar)) {
            append_padding(stored, tar);
            notes.headers += header;
            ++notes.members;
            ++notes.files;
            notes.content_bytes += stored;
            if (has_grown(file.fd.get(), file.entry.size)) {
                notes.vanished.push_back(file.shown);
            }
            return;
        }
        tar.truncate(start);
    }
    throw shrank(file.shown);
}

}  // namespace

std::shared_ptr<const LargeFile> open_large_file(FoundEntry entry) {
    auto file = std::make_shared<LargeFile>();
    file->shown = entry.path();
    file->fd = open_file(entry);
    struct stat status {};
    if (!file->fd.valid() || !describe_file(entry, file->fd.get(), file->entry, status)) {
        return nullptr;
    }
    file->extents = stored_extents(file->entry);
    posix_fadvise(file->fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return file;
}

void append_header(const LargeFile& file, GrowingBuffer& tar, ReadNotes& notes) {
    append_entry_header(file.entry, tar, notes);
    ++notes.files;
    notes.content_bytes += stored_size(file.entry);
}

void append_content(const LargeFile& file, std::uint64_t position, std::uint64_t size,
                    const ReadAt& read_at, GrowingBuffer& tar, ReadNotes& notes) {
    const std::size_t start = tar.size();
    // The header with the size is written already: only the same bytes can be tried again.
    for (int attempt = 0; !read_stored(file, position, size, read_at, tar); ++attempt) {
        if (attempt + 1 == attempts) {
            throw shrank(file.shown);
        }
        tar.truncate(start);
    }
    const std::uint64_t stored = stored_size(file.entry);
    if (position + size == stored) {
        append_padding(stored, tar);
        if (has_grown(file.fd.get(), file.entry.size)) {
            notes.vanished.push_back(file.shown);
        }
    }
}

void append_member(FoundEntry found, const ReadAt& read_at, GrowingBuffer& tar, ReadNotes& notes) {
    if (found.hard_link.empty() && S_ISREG(found.status.st_mode)) {
        append_file(std::move(found), read_at, tar, notes);
        return;
    }
    TarEntry entry = describe(found.path(), found.status);
    if (!found.hard_link.empty()) {
        entry.type = TarType::hard_link;
        entry.target = found.hard_link;
        append_entry_header(entry, tar, notes);
        return;
    }
    switch (found.status.st_mode & S_IFMT) {
        case S_IFDIR:
            entry.type = TarType::directory;
            read_attributes_of(entry, found.directory->fd.get());
            break;
        case S_IFLNK: {
            entry.type = TarType::symlink;
            std::array<char, PATH_MAX> target{};
            const ssize_t size = readlinkat(found.directory->fd.get(), found.name.c_str(),
                                            target.data(), target.size());
            if (size < 0) {
                // EINVAL: it is no link any more.
                if (!is_gone(errno) && errno != EINVAL) {
                    throw cannot_read(entry.path, errno);
                }
                notes.vanished.push_back(entry.path);
                return;
            }
            entry.target.assign(target.data(), static_cast<std::size_t>(size));
            read_attributes_by_name(entry, found);
            break;
        }
        case S_IFIFO:
            entry.type = TarType::fifo;
            read_attributes_by_name(entry, found);
            break;
        default:
            entry.type =
                S_ISCHR(found.status.st_mode) ? TarType::character_device : TarType::block_device;
            entry.device_major = major(found.status.st_rdev);
            entry.device_minor = minor(found.status.st_rdev);
            read_attributes_by_name(entry, found);
    }
    append_entry_header(entry, tar, notes);
}

void append_text(const std::string& path, std::string_view text, GrowingBuffer& tar,
                 ReadNotes& notes) {
    TarEntry entry;
    entry.path = path;
    entry.mode = 0600;
    entry.size = text.size();
    append_entry_header(entry, tar, notes);
    notes.content_bytes += text.size();
    tar.append(as_bytes(text));
    append_padding(text.size(), tar);
}

}  // namespace drunner
