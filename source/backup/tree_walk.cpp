#include "backup/tree_walk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

// Levels that keep their directory open; a process may have 1024 files open at least.
constexpr std::size_t open_levels = 64;
// A path that is longer cannot be read back (see FORMAT.md).
constexpr std::size_t path_limit = std::size_t{128} * 1024;
// Names that are sorted together; a few megabytes.
constexpr std::size_t sorted_names = 65536;

Error cannot_read(const std::string& path, int error_number) {
    return system_error(fmt::format("cannot read '{}'", printable(path)), error_number);
}

bool is_gone(int error_number) {
    return error_number == ENOENT || error_number == ESTALE;
}

}  // namespace

TreeWalk::TreeWalk(const std::string& root, std::string prefix, std::string container_path,
                   std::vector<std::string> excludes)
    : prefix_size_(prefix.size()),
      container_path_(std::move(container_path)),
      excludes_(std::move(excludes)) {
    FileDescriptor fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || fstat(fd.get(), &status) != 0) {
        throw cannot_read(root, errno);
    }
    root_ = enter(std::move(fd), std::move(prefix), status);
}

FoundEntry TreeWalk::enter(FileDescriptor fd, std::string path, const struct stat& status) {
    if (path.size() > path_limit) {
        throw Error(ErrorKind::system, fmt::format("the path of '{}...' is longer than {} bytes",
                                                   printable(path.substr(0, 80)), path_limit));
    }
    if (stack_.size() >= open_levels) {
        stack_[stack_.size() - open_levels].directory.reset();
    }
    Frame frame;
    frame.path_size = path.size();
    frame.device = status.st_dev;
    frame.inode = status.st_ino;
    FileDescriptor reading(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!reading.valid()) {
        throw cannot_read(path, errno);
    }
    frame.stream.reset(fdopendir(reading.get()));
    if (!frame.stream) {
        throw cannot_read(path, errno);
    }
    reading.release();
    path_ = path;
    frame.directory =
        std::make_shared<const OpenDirectory>(OpenDirectory{std::move(fd), std::move(path)});
    FoundEntry entry;
    entry.directory = frame.directory;
    entry.status = status;
    stack_.push_back(std::move(frame));
    return entry;
}

std::optional<FoundEntry> TreeWalk::next() {
    if (root_) {
        return std::exchange(root_, std::nullopt);
    }
    while (!stack_.empty()) {
        check_cancellation();
        Frame& frame = stack_.back();
        std::optional<FoundEntry> entry = frame.stream ? next_in(frame) : next_below(frame);
        if (entry) {
            return entry;
        }
        // next_below may have changed the stack, but only where it answered an entry.
        if (!frame.stream && frame.cursor == frame.subdirectories.size()) {
            leave();
        }
    }
    return std::nullopt;
}

// Puts the next names of the directory in order; false at its end.
bool TreeWalk::read_names(Frame& frame) const {
    frame.found.clear();
    frame.order.clear();
    frame.place = 0;
    while (frame.order.size() < sorted_names) {
        errno = 0;
        const dirent* found = readdir(frame.stream.get());
        if (found == nullptr) {
            if (errno != 0) {
                throw cannot_read(path_, errno);
            }
            break;
        }
        const std::string_view name = found->d_name;
        if (name != "." && name != "..") {
            frame.order.push_back(static_cast<std::uint32_t>(frame.found.size()));
            frame.found += static_cast<char>(found->d_type);
            frame.found.append(name).push_back('\0');
        }
    }
    const char* names = frame.found.c_str() + 1;
    std::sort(frame.order.begin(), frame.order.end(), [names](std::uint32_t a, std::uint32_t b) {
        return std::strcmp(names + a, names + b) < 0;
    });
    return !frame.order.empty();
}

// What is in the directory but for directories, which are kept for later. Closes the stream at its
// end.
std::optional<FoundEntry> TreeWalk::next_in(Frame& frame) {
    while (true) {
        if (frame.place == frame.order.size() && !read_names(frame)) {
            frame.stream.reset();
            frame.found = {};
            frame.order = {};
            return std::nullopt;
        }
        const char* found = frame.found.c_str() + frame.order[frame.place++];
        const auto type = static_cast<unsigned char>(*found);
        const std::string_view name = found + 1;
        FoundEntry entry;
        entry.directory = frame.directory;
        entry.name = name;
        if (!excludes_.empty() && is_excluded(entry.path())) {
            continue;
        }
        if (type == DT_DIR) {
            frame.subdirectories.append(name).push_back('\0');
            continue;
        }
        if (fstatat(frame.directory->fd.get(), entry.name.c_str(), &entry.status,
                    AT_SYMLINK_NOFOLLOW) != 0) {
            if (!is_gone(errno)) {
                throw cannot_read(entry.path(), errno);
            }
            vanished.push_back(entry.path());
            continue;
        }
        if (S_ISDIR(entry.status.st_mode)) {
            frame.subdirectories.append(name).push_back('\0');
            continue;
        }
        if (S_ISSOCK(entry.status.st_mode)) {
            sockets.push_back(entry.path());
            continue;
        }
        // A restore makes no devices, so that nothing may link to one.
        const bool is_device = S_ISCHR(entry.status.st_mode) || S_ISBLK(entry.status.st_mode);
        if (entry.status.st_nlink > 1 && !is_device && !note_links(entry)) {
            continue;
        }
        return entry;
    }
}

// The next of the directories in it, whose frame then is on top.
std::optional<FoundEntry> TreeWalk::next_below(Frame& frame) {
    while (frame.cursor < frame.subdirectories.size()) {
        const std::string name = frame.subdirectories.c_str() + frame.cursor;
        frame.cursor += name.size() + 1;
        const std::string path = path_ + "/" + name;
        FileDescriptor fd(openat(frame.directory->fd.get(), name.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat status {};
        if (!fd.valid() || fstat(fd.get(), &status) != 0) {
            if (is_gone(errno) || errno == ENOTDIR || errno == ELOOP) {
                vanished.push_back(path);
                continue;
            }
            throw cannot_read(path, errno);
        }
        return enter(std::move(fd), path, status);
    }
    return std::nullopt;
}

void TreeWalk::leave() {
    const Frame left = std::move(stack_.back());
    stack_.pop_back();
    path_.resize(stack_.empty() ? 0 : stack_.back().path_size);
    if (stack_.empty() || stack_.back().directory) {
        return;
    }
    Frame& parent = stack_.back();
    FileDescriptor fd(openat(left.directory->fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!fd.valid() || fstat(fd.get(), &status) != 0) {
        throw cannot_read(path_, errno);
    }
    if (status.st_dev != parent.device || status.st_ino != parent.inode) {
        throw Error(ErrorKind::in_use,
                    fmt::format("something in '{}' was moved while it was read", printable(path_)));
    }
    parent.directory = std::make_shared<const OpenDirectory>(OpenDirectory{std::move(fd), path_});
}

bool TreeWalk::is_excluded(const std::string& path) const {
    return matches_exclude(excludes_, container_path_,
                           path.substr(std::min(prefix_size_ + 1, path.size())));
}

bool matches_exclude(const std::vector<std::string>& patterns, const std::string& container_path,
                     const std::string& below) {
    const std::string in_container = container_path + "/" + below;
    const std::string name = base_name(below);
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
        if (pattern.starts_with('/')) {
            return fnmatch(pattern.c_str(), in_container.c_str(), FNM_PATHNAME) == 0;
        }
        return fnmatch(pattern.c_str(), below.c_str(), FNM_PATHNAME) == 0 ||
               fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0;
    });
}

// The first name of an inode carries the content, later ones link to it. False where it vanished.
bool TreeWalk::note_links(FoundEntry& entry) {
    const auto key = std::pair(entry.status.st_dev, entry.status.st_ino);
    const auto known = links_.find(key);
    if (known != links_.end()) {
        entry.hard_link = known->second.path;
        if (--known->second.left == 0) {
            links_.erase(known);
        }
        return true;
    }
    const bool regular = S_ISREG(entry.status.st_mode);
    entry.opened.reset(openat(entry.directory->fd.get(), entry.name.c_str(),
                              (regular ? O_RDONLY | O_NONBLOCK : O_PATH) | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!entry.opened.valid() || fstat(entry.opened.get(), &status) != 0) {
        if (is_gone(errno) || errno == ELOOP) {
            vanished.push_back(entry.path());
            return false;
        }
        throw cannot_read(entry.path(), errno);
    }
    if (status.st_dev != entry.status.st_dev || status.st_ino != entry.status.st_ino) {
        vanished.push_back(entry.path());
        return false;
    }
    links_.emplace(key, Links{entry.path(), entry.status.st_nlink - 1});
    return true;
}

}  // namespace drunner
