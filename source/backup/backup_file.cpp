#include "backup/backup_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "archive/digest.hpp"
#include "backup/age_key.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// How much is written before the kernel is told to begin with it, so that the sync at the end
// finds little left to do.
constexpr std::uint64_t write_behind = std::uint64_t{8} << 20U;

Error cannot_write(const std::string& path, int error_number) {
    return system_error(fmt::format("cannot write '{}'", printable(path)), error_number);
}

Error exists_already(const std::string& path) {
    return Error(ErrorKind::file_exists, fmt::format("'{}' exists already", printable(path)));
}

// A file that has no name until it is complete, or, where the file system cannot do that, a hidden
// one beside it.
class UnfinishedFile {
  public:
    explicit UnfinishedFile(std::string path)
        : path_(std::move(path)),
          fd_(open(parent_of(path_).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
        if (!fd_.valid() && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOSYS)) {
            hidden_ =
                fmt::format("{}/.{}.{}.part", parent_of(path_), base_name(path_), random_id());
            fd_.reset(
                open(hidden_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        }
        // The umask must not decide about the mode.
        if (!fd_.valid() || fchmod(fd_.get(), 0600) != 0) {
            const int error = errno;
            remove();
            throw cannot_write(path_, error);
        }
    }
    ~UnfinishedFile() { remove(); }
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    void write(Bytes bytes) {
        while (!bytes.empty()) {
            const ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
            if (done < 0 && errno != EINTR) {
                throw cannot_write(path_, errno);
            }
            if (done > 0) {
                bytes = bytes.subspan(static_cast<std::size_t>(done));
                written_ += static_cast<std::uint64_t>(done);
            }
        }
        if (written_ - started_ >= write_behind) {
            sync_file_range(fd_.get(), static_cast<off_t>(started_),
                            static_cast<off_t>(written_ - started_), SYNC_FILE_RANGE_WRITE);
            started_ = written_;
        }
    }

    // Syncs the file and gives the SHA-256 of what the disk holds.
    std::string sync_and_read() {
        if (fsync(fd_.get()) != 0) {
            throw cannot_write(path_, errno);
        }
        posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
        posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
        Sha256 sum;
        std::vector<std::byte> buffer(std::size_t{1} << 20U);
        off_t position = 0;
        while (true) {
            check_cancellation();
            const ssize_t got = pread(fd_.get(), buffer.data(), buffer.size(), position);
            if (got == 0) {
                return sum.hex();
            }
            if (got < 0 && errno != EINTR) {
                throw system_error(fmt::format("cannot read '{}' again", printable(path_)), errno);
            }
            if (got > 0) {
                sum.update(Bytes(buffer).first(static_cast<std::size_t>(got)));
                position += got;
            }
        }
    }

    void publish() {
        if (hidden_.empty()) {
            const std::string own = fmt::format("/proc/self/fd/{}", fd_.get());
            if (linkat(AT_FDCWD, own.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
                throw errno == EEXIST ? exists_already(path_) : cannot_write(path_, errno);
            }
            sync_directory(parent_of(path_));
        } else {
            rename_new(hidden_, path_);
            hidden_.clear();
        }
    }

  private:
    void remove() {
        if (!hidden_.empty()) {
            unlink(hidden_.c_str());
        }
    }

    std::string path_;
    std::string hidden_;
    FileDescriptor fd_;
    std::uint64_t written_ = 0;
    std::uint64_t started_ = 0;
};

}  // namespace

void check_backup_key(const BackupKey& key) {
    if (!key.password.empty() && !key.recipients.empty()) {
        throw Error(ErrorKind::usage, "a backup takes a password or recipients, not both");
    }
    for (const std::string& recipient : key.recipients) {
        parse_age_recipient(recipient);
    }
}

BackupResult write_backup_file(const BackupJob& job, const std::string& path, Progress& progress) {
    if (exists(path)) {
        throw exists_already(path);
    }
    UnfinishedFile file(path);
    BackupResult result = write_backup(
        job, [&file](Bytes bytes) { file.write(bytes); }, progress);
    if (file.sync_and_read() != result.sha256) {
        throw Error(ErrorKind::system,
                    fmt::format("'{}' does not read back as it was written: the disk or its "
                                "controller is failing",
                                printable(path)));
    }
    file.publish();
    return result;
}

}  // namespace drunner
