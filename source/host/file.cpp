#include "host/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>

#include "core/error.hpp"
#include "host/write_ban.hpp"

namespace drunner {
namespace {

constexpr std::string_view unfinished_suffix = ".new";
constexpr std::string_view hexadecimal_digits = "0123456789abcdef";
constexpr std::size_t id_digits = 32;
// ".", the digits, the suffix: what a temporary name has after the name it stands for.
constexpr std::size_t unfinished_tail = 1 + id_digits + unfinished_suffix.size();

std::string quoted(const std::string& path) {
    return "'" + path + "'";
}

void write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written = write(fd, content.data(), content.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error("cannot write " + quoted(path), errno);
        }
        content.remove_prefix(static_cast<std::size_t>(written));
    }
}

void write_new_file(const std::string& path, std::string_view content, mode_t mode) {
    WriteBan::require_none(path);
    FileDescriptor fd(
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd.valid()) {
        const int error = errno;
        if (error == EEXIST) {
            throw Error(ErrorKind::file_exists, quoted(path) + " exists already");
        }
        throw system_error("cannot create " + quoted(path), error);
    }
    try {
        write_all(fd.get(), content, path);
        // The umask must not decide about the mode of what drunner writes.
        if (fchmod(fd.get(), mode) != 0 || fsync(fd.get()) != 0) {
            throw system_error("cannot write " + quoted(path), errno);
        }
    } catch (...) {
        unlink(path.c_str());
        throw;
    }
}

// The offset behind the last '\n'.
off_t end_of_last_line(int fd, const std::string& path) {
    std::array<char, 4096> buffer{};
    off_t end = lseek(fd, 0, SEEK_END);
    while (end > 0) {
        const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(buffer.size()));
        const ssize_t got = pread(fd, buffer.data(), static_cast<std::size_t>(end - begin), begin);
        if (got != end - begin) {
            throw system_error("cannot read " + quoted(path), errno);
        }
        const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
        if (const std::size_t at = text.rfind('\n'); at != std::string_view::npos) {
            return begin + static_cast<off_t>(at) + 1;
        }
        end = begin;
    }
    return 0;
}

// Removes trees of any depth with few descriptors and little stack: what lies too deep is moved to
// the top of the tree, and removed from there.
class Removal {
  public:
    // `device` is the file system to stay on.
    explicit Removal(dev_t device) : device_(device) {}

    void remove(int parent, const char* name, const std::string& shown, int depth = 0) {
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
            return;
        }
        if (errno != EISDIR && errno != EPERM) {
            throw system_error("cannot remove " + quoted(shown), errno);
        }
        if (depth == most_levels) {
            if (renameat2(parent, name, top_, random_id().c_str(), RENAME_NOREPLACE) != 0) {
                throw system_error("cannot remove " + quoted(shown), errno);
            }
            return;
        }
        FileDescriptor fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat status {};
        if (!fd.valid() || fstat(fd.get(), &status) != 0) {
            throw system_error("cannot remove " + quoted(shown), errno);
        }
        if (status.st_dev != device_) {
            throw Error(ErrorKind::system, "cannot remove " + quoted(shown) +
                                               ": another file system is mounted there");
        }
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd.get()), closedir);
        if (!directory) {
            throw system_error("cannot read " + quoted(shown), errno);
        }
        const int directory_fd = fd.release();
        if (depth == 0) {
            top_ = directory_fd;
        }
        // What was moved to the top may lie before the place where the reading is.
        while (empty(directory.get(), directory_fd, shown, depth)) {
            rewinddir(directory.get());
        }
        if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
            throw system_error("cannot remove " + quoted(shown), errno);
        }
    }

  private:
    static constexpr int most_levels = 64;

    // False where there was nothing in it.
    bool empty(DIR* directory, int fd, const std::string& shown, int depth) {
        bool found = false;
        while (const dirent* entry = readdir(directory)) {
            const std::string_view child = entry->d_name;
            if (child != "." && child != "..") {
                found = true;
                remove(fd, entry->d_name, shown + "/" + entry->d_name, depth + 1);
            }
        }
        return found;
    }

    dev_t device_;
    int top_ = -1;
};

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
        reset(other.release());
    }
    return *this;
}

int FileDescriptor::release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
}

void FileDescriptor::reset(int fd) {
    if (fd_ >= 0) {
        close(fd_);
    }
    fd_ = fd;
}

FileType file_type(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return FileType::absent;
        }
        throw system_error("cannot look at " + quoted(path), errno);
    }
    switch (status.st_mode & S_IFMT) {
        case S_IFREG:
            return FileType::regular;
        case S_IFDIR:
            return FileType::directory;
        case S_IFLNK:
            return FileType::symlink;
        default:
            return FileType::other;
    }
}

std::string read_file(const std::string& path) {
    FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        throw system_error("cannot read " + quoted(path), errno);
    }
    std::string content;
    std::array<char, 65536> buffer;  // cleared, it would cost more than most files take to read
    while (true) {
        const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
        if (got == 0) {
            return content;
        }
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error("cannot read " + quoted(path), errno);
        }
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

void append_line(const std::string& path, std::string_view line) {
    WriteBan::require_none(path);
    const FileDescriptor fd(
        open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) {
        throw system_error("cannot open " + quoted(path), errno);
    }
    // Others append as well, also threads of this process.
    while (flock(fd.get(), LOCK_EX) != 0) {
        if (errno != EINTR) {
            throw system_error("cannot write " + quoted(path), errno);
        }
    }
    const off_t whole = end_of_last_line(fd.get(), path);
    try {
        if (ftruncate(fd.get(), whole) != 0) {
            throw system_error("cannot write " + quoted(path), errno);
        }
        write_all(fd.get(), std::string(line) + "\n", path);
        if (fsync(fd.get()) != 0) {
            throw system_error("cannot write " + quoted(path), errno);
        }
    } catch (const Error&) {
        [[maybe_unused]] const bool cut = ftruncate(fd.get(), whole) == 0;
        throw;
    }
    sync_directory(parent_of(path));
}

void write_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string beside = unfinished_name(path);
    write_new_file(beside, content, mode);
    try {
        rename_file(beside, path);
    } catch (...) {
        unlink(beside.c_str());
        throw;
    }
}

void create_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string beside = unfinished_name(path);
    write_new_file(beside, content, mode);
    try {
        rename_new(beside, path);
    } catch (...) {
        unlink(beside.c_str());
        throw;
    }
}

FileDescriptor memory_file(std::string_view content) {
    const std::string name = "a file in memory";
    FileDescriptor file(memfd_create("drunner", MFD_CLOEXEC));
    if (!file.valid()) {
        throw system_error("cannot make " + name, errno);
    }
    write_all(file.get(), content, name);
    if (lseek(file.get(), 0, SEEK_SET) != 0) {
        throw system_error("cannot read " + name, errno);
    }
    return file;
}

bool make_directories(const std::string& path, mode_t mode) {
    WriteBan::require_none(path);
    if (mkdir(path.c_str(), mode) == 0) {
        if (chmod(path.c_str(), mode) != 0) {
            throw system_error("cannot set the mode of " + quoted(path), errno);
        }
        return true;
    }
    const int error = errno;
    struct stat status {};
    if (error == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
        return false;
    }
    if (error != ENOENT || parent_of(path) == path) {
        throw system_error("cannot create the directory " + quoted(path), error);
    }
    make_directories(parent_of(path), mode);
    return make_directories(path, mode);
}

bool remove_tree(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return false;
        }
        throw system_error("cannot remove " + quoted(path), errno);
    }
    WriteBan::require_none(path);
    Removal(status.st_dev).remove(AT_FDCWD, path.c_str(), path);
    return true;
}

std::vector<std::string> directory_entries(const std::string& path) {
    std::vector<std::string> names;
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (!directory) {
        if (errno == ENOENT) {
            return names;
        }
        throw system_error("cannot read the directory " + quoted(path), errno);
    }
    while (const dirent* entry = readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            names.emplace_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

void rename_file(const std::string& from, const std::string& to) {
    WriteBan::require_none(from);
    if (rename(from.c_str(), to.c_str()) != 0) {
        throw system_error("cannot rename " + quoted(from) + " to " + quoted(to), errno);
    }
    sync_directory(parent_of(to));
}

void rename_new(const std::string& from, const std::string& to) {
    WriteBan::require_none(from);
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST) {
            throw Error(ErrorKind::file_exists, quoted(to) + " exists already");
        }
        throw system_error("cannot rename " + quoted(from) + " to " + quoted(to), errno);
    }
    sync_directory(parent_of(to));
}

void exchange_files(const std::string& a, const std::string& b) {
    WriteBan::require_none(a);
    if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
        throw system_error("cannot exchange " + quoted(a) + " and " + quoted(b), errno);
    }
    sync_directory(parent_of(a));
    sync_directory(parent_of(b));
}

void replace_symlink(const std::string& target, const std::string& link) {
    WriteBan::require_none(link);
    const std::string beside = unfinished_name(link);
    if (symlink(target.c_str(), beside.c_str()) != 0) {
        throw system_error("cannot create the link " + quoted(beside), errno);
    }
    try {
        rename_file(beside, link);
    } catch (...) {
        unlink(beside.c_str());
        throw;
    }
}

std::string read_symlink(const std::string& path) {
    std::array<char, 4096> target{};
    const ssize_t length = readlink(path.c_str(), target.data(), target.size());
    return length < 0 ? std::string()
                      : std::string(target.data(), static_cast<std::size_t>(length));
}

void sync_directory(const std::string& path) {
    FileDescriptor fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid() || fsync(fd.get()) != 0) {
        throw system_error("cannot sync the directory " + quoted(path), errno);
    }
}

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_name(const std::string& path) {
    return path.substr(path.find_last_of('/') + 1);
}

unsigned long long free_space(const std::string& path) {
    struct statvfs status {};
    if (statvfs(path.c_str(), &status) != 0) {
        throw system_error("cannot ask for the free space of " + quoted(path), errno);
    }
    return static_cast<unsigned long long>(status.f_bavail) * status.f_frsize;
}

std::string unfinished_name(const std::string& path) {
    // A name may be as long as the file system allows already.
    const std::size_t begin = path.find_last_of('/') + 1;
    const std::size_t longest = NAME_MAX - unfinished_tail;
    return path.substr(0, std::min(path.size(), begin + longest)) + "." + random_id() +
           std::string(unfinished_suffix);
}

std::vector<std::string> unfinished_entries(const std::string& directory) {
    std::vector<std::string> names = directory_entries(directory);
    std::erase_if(names, [](std::string_view name) {
        if (name.size() <= unfinished_tail || !name.ends_with(unfinished_suffix)) {
            return true;
        }
        name = name.substr(name.size() - unfinished_tail);
        return name.front() != '.' ||
               name.substr(1, id_digits).find_first_not_of(hexadecimal_digits) !=
                   std::string_view::npos;
    });
    return names;
}

std::string random_id() {
    std::array<unsigned char, id_digits / 2> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw system_error("cannot get random bytes", errno);
    }
    std::string id;
    for (const unsigned char byte : bytes) {
        id += hexadecimal_digits[byte >> 4U];
        id += hexadecimal_digits[byte & 15U];
    }
    return id;
}

}  // namespace drunner
