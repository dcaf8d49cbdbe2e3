#include "host/tree_clone.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::size_t block = 4096;

std::string child_of(const FileDescriptor& directory, const std::string& name) {
    return "/proc/self/fd/" + std::to_string(directory.get()) + "/" + name;
}

// One clone in progress. Works by open directories, so no link in the tree is ever followed.
class Cloner {
  public:
    Cloner(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}

    void run() {
        root_source_ = FileDescriptor(
            open(from_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME));
        struct stat status {};
        if (!root_source_.valid() || fstat(root_source_.get(), &status) != 0) {
            throw system_error("cannot read '" + printable(from_) + "'", errno);
        }
        device_ = status.st_dev;
        if (mkdir(to_.c_str(), S_IRWXU) != 0) {
            throw system_error("cannot make '" + printable(to_) + "'", errno);
        }
        root_target_ =
            FileDescriptor(open(to_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!root_target_.valid()) {
            throw system_error("cannot read '" + printable(to_) + "'", errno);
        }
        clone_directory(root_source_, root_target_, "", status);
        if (syncfs(root_target_.get()) != 0) {
            throw system_error("cannot sync '" + printable(to_) + "'", errno);
        }
    }

  private:
    [[noreturn]] void fail(const std::string& path) const {
        throw system_error("cannot clone '" + printable(from_ + "/" + path) + "'", errno);
    }
    void require(bool done, const std::string& path) const {
        if (!done) {
            fail(path);
        }
    }

    // `path` is the directory's below the root, "" or ending in a slash.
    void clone_directory(const FileDescriptor& source, const FileDescriptor& target,
                         const std::string& path, const struct stat& status) {
        const int listed = openat(source.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require(listed >= 0, path);
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(listed), closedir);
        require(stream != nullptr, path);
        errno = 0;
        while (const dirent* entry = readdir(stream.get())) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") {
                check_cancellation();
                clone_entry(source, target, path, name);
            }
            errno = 0;
        }
        require(errno == 0, path);
        set_by_descriptor(source, target, status, path);
    }

    void clone_entry(const FileDescriptor& source, const FileDescriptor& target,
                     const std::string& directory, const std::string& name) {
        const std::string path = directory + name;
        struct stat status {};
        require(fstatat(source.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0, path);
        if (status.st_dev != device_) {
            throw Error(ErrorKind::system, "cannot clone '" + printable(from_ + "/" + path) +
                                               "': it is on another file system");
        }
        if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
            const auto [known, is_new] = links_.try_emplace(status.st_ino, path);
            if (!is_new) {
                require(linkat(root_target_.get(), known->second.c_str(), target.get(),
                               name.c_str(), 0) == 0,
                        path);
                return;
            }
        }
        constexpr int no_follow = O_NOFOLLOW | O_CLOEXEC;
        if (S_ISDIR(status.st_mode)) {
            require(mkdirat(target.get(), name.c_str(), S_IRWXU) == 0, path);
            const FileDescriptor from(
                openat(source.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOATIME | no_follow));
            const FileDescriptor to(
                openat(target.get(), name.c_str(), O_RDONLY | O_DIRECTORY | no_follow));
            require(from.valid() && to.valid(), path);
            clone_directory(from, to, path + "/", status);
        } else if (S_ISREG(status.st_mode)) {
            const FileDescriptor from(
                openat(source.get(), name.c_str(), O_RDONLY | O_NOATIME | no_follow));
            const FileDescriptor to(openat(target.get(), name.c_str(),
                                           O_WRONLY | O_CREAT | O_EXCL | no_follow, S_IRUSR));
            require(from.valid() && to.valid() && ioctl(to.get(), FICLONE, from.get()) == 0, path);
            set_by_descriptor(from, to, status, path);
        } else {
            make_special(source, target, name, path, status);
        }
    }

    void set_by_descriptor(const FileDescriptor& source, const FileDescriptor& target,
                           const struct stat& status, const std::string& path) const {
        // A change of owner takes set-id bits and capabilities away, so it comes first.
        require(fchown(target.get(), status.st_uid, status.st_gid) == 0 &&
                    fchmod(target.get(), status.st_mode & ~static_cast<mode_t>(S_IFMT)) == 0,
                path);
        copy_attributes("/proc/self/fd/" + std::to_string(source.get()),
                        "/proc/self/fd/" + std::to_string(target.get()), true, path);
        const std::array times{status.st_atim, status.st_mtim};
        require(futimens(target.get(), times.data()) == 0, path);
    }

    void make_special(const FileDescriptor& source, const FileDescriptor& target,
                      const std::string& name, const std::string& path,
                      const struct stat& status) const {
        if (S_ISLNK(status.st_mode)) {
            const std::string points_to = read_symlink(child_of(source, name));
            require(symlinkat(points_to.c_str(), target.get(), name.c_str()) == 0, path);
        } else {
            require(mknodat(target.get(), name.c_str(), status.st_mode, status.st_rdev) == 0, path);
        }
        require(fchownat(target.get(), name.c_str(), status.st_uid, status.st_gid,
                         AT_SYMLINK_NOFOLLOW) == 0,
                path);
        if (!S_ISLNK(status.st_mode)) {
            require(fchmodat(target.get(), name.c_str(),
                             status.st_mode & ~static_cast<mode_t>(S_IFMT), 0) == 0,
                    path);
        }
        copy_attributes(child_of(source, name), child_of(target, name), false, path);
        const std::array times{status.st_atim, status.st_mtim};
        require(utimensat(target.get(), name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0,
                path);
    }

    // `follow` for the magic links of open files; never for a name in the tree.
    void copy_attributes(const std::string& source, const std::string& target, bool follow,
                         const std::string& path) const {
        std::vector<char> names(block);
        const auto list = follow ? listxattr : llistxattr;
        const auto get = follow ? getxattr : lgetxattr;
        const auto set = follow ? setxattr : lsetxattr;
        ssize_t size = list(source.c_str(), names.data(), names.size());
        if (size < 0 && errno == ERANGE) {
            names.resize(XATTR_LIST_MAX);
            size = list(source.c_str(), names.data(), names.size());
        }
        if (size <= 0) {
            require(size == 0 || errno == ENOTSUP, path);
            return;
        }
        std::vector<char> value(XATTR_SIZE_MAX);
        const char* const end = names.data() + size;
        for (const char* name = names.data(); name < end; name += std::string(name).size() + 1) {
            const ssize_t length = get(source.c_str(), name, value.data(), value.size());
            require(length >= 0 && set(target.c_str(), name, value.data(),
                                       static_cast<std::size_t>(length), 0) == 0,
                    path);
        }
    }

    std::string from_;
    std::string to_;
    FileDescriptor root_source_;
    FileDescriptor root_target_;
    dev_t device_ = 0;
    std::map<ino_t, std::string> links_;  // inode -> the first name below the root
};

dev_t device_of(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        throw system_error("cannot look at '" + printable(path) + "'", errno);
    }
    return status.st_dev;
}

}  // namespace

bool can_clone(const std::string& directory) {
    constexpr int unnamed = O_RDWR | O_TMPFILE | O_CLOEXEC;
    const FileDescriptor from(open(directory.c_str(), unnamed, S_IRUSR | S_IWUSR));
    const FileDescriptor to(open(directory.c_str(), unnamed, S_IRUSR | S_IWUSR));
    const std::array<char, block> content{};
    return from.valid() && to.valid() &&
           pwrite(from.get(), content.data(), content.size(), 0) ==
               static_cast<ssize_t>(content.size()) &&
           ioctl(to.get(), FICLONE, from.get()) == 0;
}

void clone_tree(const std::string& from, const std::string& to) {
    Cloner(from, to).run();
}

std::uint64_t tree_size(const std::string& directory) {
    std::string path = directory;
    std::array<char*, 2> roots{path.data(), nullptr};
    const std::unique_ptr<FTS, int (*)(FTS*)> walk(
        fts_open(roots.data(), FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr), fts_close);
    if (!walk) {
        throw system_error("cannot read '" + printable(directory) + "'", errno);
    }
    constexpr std::uint64_t bytes_of_block = 512;
    std::set<ino_t> linked;
    std::uint64_t size = 0;
    while (const FTSENT* entry = fts_read(walk.get())) {
        check_cancellation();
        if (entry->fts_info != FTS_F || !S_ISREG(entry->fts_statp->st_mode)) {
            continue;
        }
        const struct stat& status = *entry->fts_statp;
        if (status.st_nlink > 1 && !linked.insert(status.st_ino).second) {
            continue;
        }
        size += std::min(static_cast<std::uint64_t>(status.st_size),
                         static_cast<std::uint64_t>(status.st_blocks) * bytes_of_block);
    }
    return size;
}

bool is_mount_point(const std::string& directory) {
    return device_of(directory) != device_of(parent_of(directory));
}

}  // namespace drunner
