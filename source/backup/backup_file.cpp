#include "backup/backup_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "backup/age_key.hpp"
#include "backup/direct_file.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

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

    int descriptor() const { return fd_.get(); }

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
    DirectFile output(file.descriptor(), path);
    BackupResult result = write_backup(
        job, [&output](Bytes bytes) { output.write(bytes); }, progress);
    output.finish();
    if (output.read_again() != result.sha256) {
        throw Error(ErrorKind::system,
                    fmt::format("'{}' does not read back as it was written: the disk or its "
                                "controller is failing",
                                printable(path)));
    }
    file.publish();
    return result;
}

}  // namespace drunner
