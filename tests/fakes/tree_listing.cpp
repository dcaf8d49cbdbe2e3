#include "fakes/tree_listing.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>

#include "archive/digest.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner::test {
namespace {

class Lister {
  public:
    explicit Lister(ListingOptions options) : options_(options) {}

    void list(int parent, const std::string& name, const std::string& path) {
        struct stat status {};
        if (fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            throw std::runtime_error("cannot stat " + path);
        }
        std::string line =
            fmt::format("{} type={:o} mode={:04o} owner={}:{} mtime={}.{:09}", printable(path),
                        status.st_mode & S_IFMT, status.st_mode & 07777U, status.st_uid,
                        status.st_gid, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        if (S_ISREG(status.st_mode)) {
            line += content(parent, name, status);
        } else if (S_ISLNK(status.st_mode)) {
            std::array<char, 4096> target{};
            const ssize_t size = readlinkat(parent, name.c_str(), target.data(), target.size());
            line += fmt::format(" target={}",
                                printable({target.data(), static_cast<std::size_t>(size)}));
        } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            line += fmt::format(" device={}", status.st_rdev);
        }
        line += attributes(parent, name);
        if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
            links_[{status.st_dev, status.st_ino}].push_back({printable(path), lines_.size()});
        }
        lines_.push_back(line);
        if (S_ISDIR(status.st_mode)) {
            const FileDescriptor fd(
                openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            for (const std::string& child : names_in(fd.get())) {
                list(fd.get(), child, path + "/" + child);
            }
        }
    }

    std::vector<std::string> result() {
        for (auto& [inode, names] : links_) {
            const std::string first = std::min_element(names.begin(), names.end())->first;
            for (const auto& [path, index] : names) {
                lines_[index] += fmt::format(" links={} with={}", names.size(), first);
            }
        }
        std::sort(lines_.begin(), lines_.end());
        return lines_;
    }

  private:
    static std::vector<std::string> names_in(int fd) {
        std::vector<std::string> names;
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(dup(fd)), closedir);
        while (const dirent* entry = readdir(stream.get())) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") {
                names.push_back(name);
            }
        }
        return names;
    }

    std::string content(int parent, const std::string& name, const struct stat& status) const {
        const FileDescriptor fd(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        Sha256 sum;
        std::vector<std::byte> buffer(1U << 20U);
        // Holes are passed over, so that a huge sparse file can be listed.
        off_t position = 0;
        while (position < status.st_size) {
            const off_t data = lseek(fd.get(), position, SEEK_DATA);
            if (data < 0) {
                break;
            }
            const ssize_t got = pread(fd.get(), buffer.data(), buffer.size(), data);
            if (got <= 0) {
                throw std::runtime_error("cannot read " + name);
            }
            // Zeros may be data or a hole, which is no difference in content.
            const Bytes bytes = Bytes(buffer).first(static_cast<std::size_t>(got));
            for (std::size_t at = 0; at < bytes.size(); at += 4096) {
                const Bytes page =
                    bytes.subspan(at, std::min<std::size_t>(4096, bytes.size() - at));
                if (std::any_of(page.begin(), page.end(),
                                [](std::byte b) { return b != std::byte{0}; })) {
                    sum.update(as_bytes(std::to_string(data + static_cast<off_t>(at))));
                    sum.update(page);
                }
            }
            position = data + got;
        }
        std::string text = fmt::format(" size={} sum={}", status.st_size, sum.hex());
        if (options_.holes) {
            text += status.st_blocks * 512 < status.st_size ? " holes" : " full";
        }
        return text;
    }

    static std::string hexadecimal(const std::string& bytes) {
        std::string text;
        for (const char c : bytes) {
            text += fmt::format("{:02x}", static_cast<unsigned char>(c));
        }
        return text;
    }

    static std::string attributes(int parent, const std::string& name) {
        const std::string path = fmt::format("/proc/self/fd/{}/{}", parent, name);
        std::string names(65536, '\0');
        const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
        names.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        std::vector<std::string> keys = split(names, '\0');
        std::sort(keys.begin(), keys.end());
        std::string text;
        for (const std::string& key : keys) {
            std::string value(65536, '\0');
            const ssize_t length =
                key.empty() ? -1 : lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
            if (length >= 0) {
                value.resize(static_cast<std::size_t>(length));
                text += fmt::format(" {}={}", printable(key), hexadecimal(value));
            }
        }
        return text;
    }

    ListingOptions options_;
    std::vector<std::string> lines_;
    std::map<std::pair<dev_t, ino_t>, std::vector<std::pair<std::string, std::size_t>>> links_;
};

}  // namespace

std::vector<std::string> tree_listing(const std::string& directory, ListingOptions options) {
    Lister lister(options);
    const FileDescriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) {
        throw std::runtime_error("cannot open " + directory);
    }
    lister.list(fd.get(), ".", ".");
    return lister.result();
}

}  // namespace drunner::test
