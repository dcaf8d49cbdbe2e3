#include "backup/backup_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
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
            name_ = fmt::format("{}/.{}.{}.part", parent_of(path_), base_name(path_), random_id());
            fd_.reset(
                open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
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

    // Whoever is told that it failed must not find the file all the same.
    void publish() {
        const std::string own = fmt::format("/proc/self/fd/{}", fd_.get());
        const int result =
            name_.empty()
                ? linkat(AT_FDCWD, own.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW)
                : renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
        if (result != 0) {
            throw errno == EEXIST ? exists_already(path_) : cannot_write(path_, errno);
        }
        name_ = path_;
        sync_directory(parent_of(path_));
        name_.clear();
    }

  private:
    void remove() {
        if (!name_.empty()) {
            unlink(name_.c_str());
        }
    }

    std::string path_;
    std::string name_;  // that goes with this object
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
    file.publish();
    return result;
}

}  // namespace drunner
