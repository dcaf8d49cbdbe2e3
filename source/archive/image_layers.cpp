#include "archive/image_layers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// Directories below /drunner hold a descriptor per layer and depth.
constexpr int most_depth = 16;

// The engine is to be asked.
struct OutOfTheOrdinary {};

// One directory of the image: those of the layers that together are it, the uppermost first.
using MergedDirectory = std::vector<FileDescriptor>;

// Without CAP_SYS_ADMIN the kernel hides what overlayfs wrote on its directories.
bool sees_overlay_attributes() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    return syscall(SYS_capget, &header, data.data()) == 0 &&
           (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

// The attributes that overlayfs gave a file or directory, without its prefix.
std::set<std::string> overlay_attributes(int file) {
    std::array<char, 4096> names{};
    const ssize_t size = flistxattr(file, names.data(), names.size());
    if (size < 0) {
        throw OutOfTheOrdinary();
    }
    std::set<std::string> found;
    for (const std::string& name :
         split(std::string_view(names.data(), static_cast<std::size_t>(size)), '\0')) {
        for (const std::string_view prefix : {"trusted.overlay.", "user.overlay."}) {
            if (name.starts_with(prefix)) {
                found.insert(name.substr(prefix.size()));
            }
        }
    }
    // Where a copy came from: says nothing of what it is.
    for (const char* harmless : {"origin", "impure", "uuid"}) {
        found.erase(harmless);
    }
    return found;
}

// A directory that hides those of the layers below it.
bool is_opaque(int directory) {
    const std::set<std::string> attributes = overlay_attributes(directory);
    if (attributes.empty()) {
        return false;
    }
    char value = 0;
    if (attributes != std::set<std::string>{"opaque"} ||
        fgetxattr(directory, "trusted.overlay.opaque", &value, 1) != 1 || value != 'y') {
        throw OutOfTheOrdinary();
    }
    return true;
}

bool is_whiteout(const struct stat& status) {
    return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
}

std::optional<struct stat> status_of(int directory, const std::string& name) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return status;
    }
    if (errno != ENOENT) {
        throw OutOfTheOrdinary();
    }
    return std::nullopt;
}

FileDescriptor open_in(int directory, const std::string& name, int flags) {
    FileDescriptor file(
        openat(directory, name.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) {
        throw OutOfTheOrdinary();
    }
    return file;
}

MergedDirectory open_root(const std::vector<std::string>& directories) {
    if (directories.empty() || !sees_overlay_attributes()) {
        throw OutOfTheOrdinary();
    }
    MergedDirectory root;
    for (const std::string& path : directories) {
        struct stat status {};
        FileDescriptor layer = open_in(AT_FDCWD, path, O_DIRECTORY);
        // Of another owner where the engine keeps its files for a user namespace.
        if (fstat(layer.get(), &status) != 0 || status.st_uid != 0) {
            throw OutOfTheOrdinary();
        }
        root.push_back(std::move(layer));
    }
    return root;
}

MergedDirectory enter(const MergedDirectory& parent, const std::string& name) {
    MergedDirectory merged;
    for (const FileDescriptor& layer : parent) {
        const auto status = status_of(layer.get(), name);
        if (!status) {
            continue;
        }
        if (!S_ISDIR(status->st_mode) || (status->st_mode & (S_ISUID | S_ISGID)) != 0) {
            if (merged.empty() && !is_whiteout(*status)) {
                throw OutOfTheOrdinary();
            }
            break;
        }
        merged.push_back(open_in(layer.get(), name, O_DIRECTORY));
        if (is_opaque(merged.back().get())) {
            break;
        }
    }
    if (merged.empty()) {
        throw OutOfTheOrdinary();
    }
    return merged;
}

std::vector<std::string> names_in(int directory) {
    // A descriptor of its own: fdopendir takes it.
    FileDescriptor own = open_in(directory, ".", O_DIRECTORY);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(own.get()), closedir);
    if (!stream) {
        throw OutOfTheOrdinary();
    }
    own.release();
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") {
            names.push_back(name);
        }
    }
    if (errno != 0) {
        throw OutOfTheOrdinary();
    }
    return names;
}

ImageFile read_regular(int directory, const std::string& name, const struct stat& status,
                       std::uint64_t limit) {
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1 ||
        (status.st_mode & (S_ISUID | S_ISGID)) != 0 ||
        static_cast<std::uint64_t>(status.st_size) > limit) {
        throw OutOfTheOrdinary();
    }
    const FileDescriptor file = open_in(directory, name, 0);
    if (!overlay_attributes(file.get()).empty()) {
        throw OutOfTheOrdinary();
    }
    ImageFile found;
    found.content.resize(static_cast<std::size_t>(status.st_size));
    for (std::size_t done = 0; done < found.content.size();) {
        const ssize_t got =
            read(file.get(), found.content.data() + done, found.content.size() - done);
        if (got <= 0) {
            throw OutOfTheOrdinary();
        }
        done += static_cast<std::size_t>(got);
    }
    found.mode = status.st_mode & 07777U;
    found.uid = status.st_uid;
    found.gid = status.st_gid;
    found.executable = (found.mode & 0111U) != 0;
    return found;
}

struct Collection {
    ImageFiles files;
    std::uint64_t bytes_left;
    std::size_t members_left;
};

void collect(const MergedDirectory& directory, const std::string& prefix, int depth,
             Collection& collection) {
    std::set<std::string> seen;
    for (const FileDescriptor& layer : directory) {
        for (const std::string& name : names_in(layer.get())) {
            if (!seen.insert(name).second) {
                continue;
            }
            const auto status = status_of(layer.get(), name);
            if (!status || printable(name) != name || collection.members_left-- == 0) {
                throw OutOfTheOrdinary();
            }
            if (is_whiteout(*status)) {
                continue;
            }
            const std::string path = prefix + name;
            if (S_ISDIR(status->st_mode)) {
                if (depth == most_depth) {
                    throw OutOfTheOrdinary();
                }
                collect(enter(directory, name), path + "/", depth + 1, collection);
                continue;
            }
            ImageFile file = read_regular(layer.get(), name, *status, collection.bytes_left);
            collection.bytes_left -= file.content.size();
            collection.files.emplace(path, std::move(file));
        }
    }
}

}  // namespace

ImageLayers::ImageLayers(std::vector<std::string> directories)
    : directories_(std::move(directories)) {}

std::optional<ImageFiles> ImageLayers::files(const std::string& root,
                                             ImageFilesLimits limits) const {
    try {
        Collection collection{{}, limits.total_bytes, limits.files};
        collect(enter(open_root(directories_), root), "", 0, collection);
        return std::move(collection.files);
    } catch (const OutOfTheOrdinary&) {
        return std::nullopt;
    }
}

std::optional<std::string> ImageLayers::file(const std::string& path, std::uint64_t limit) const {
    try {
        MergedDirectory directory = open_root(directories_);
        std::vector<std::string> parts = split(path, '/');
        const std::string name = std::move(parts.back());
        parts.pop_back();
        for (const std::string& part : parts) {
            directory = enter(directory, part);
        }
        for (const FileDescriptor& layer : directory) {
            if (const auto status = status_of(layer.get(), name)) {
                return read_regular(layer.get(), name, *status, limit).content;
            }
        }
    } catch (const OutOfTheOrdinary&) {
    }
    return std::nullopt;
}

}  // namespace drunner
