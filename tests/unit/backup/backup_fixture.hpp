#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "backup/backup_file.hpp"
#include "core/error.hpp"
#include "fakes/scratch_directory.hpp"
#include "fakes/silent_progress.hpp"
#include "host/file.hpp"

namespace drunner::test {

inline BackupJob job_of(const std::string& volume) {
    BackupJob job;
    job.header.service = "blog";
    job.header.created_at = "2024-05-06T07:08:09+00:00";
    job.header.drunner_version = "0.1.0";
    job.header.image_reference = "team/blog:2";
    job.header.image_digest = "sha256:aa";
    job.header.image_id = "sha256:bb";
    job.header.settings = {{"PORT", "80"}};
    job.header.secrets_left_out = {"KEY"};
    BackupVolume described;
    described.path = "/data";
    described.name = "drunner-blog-data";
    described.labels = {{"drunner.service", "blog"}};
    described.options = {{"o", "x"}};
    described.source = volume;
    job.header.volumes = {described};
    job.workers = 2;
    return job;
}

inline std::string backup_bytes(const BackupJob& job) {
    SilentProgress progress;
    std::string bytes;
    write_backup(
        job, [&](Bytes part) { bytes += as_text(part); }, progress);
    return bytes;
}

// A descriptor that reads these bytes.
inline FileDescriptor reading(const std::string& bytes) {
    FileDescriptor fd(open("/tmp", O_TMPFILE | O_RDWR, 0600));
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t done = write(fd.get(), bytes.data() + at, bytes.size() - at);
        at += done > 0 ? static_cast<std::size_t>(done) : bytes.size();
    }
    lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

inline RestoreResult verify_bytes(const std::string& bytes, const OpenKey& key = {}) {
    SilentProgress progress;
    const FileDescriptor fd = reading(bytes);
    return open_backup(fd.get(), key)->verify({}, progress);
}

inline RestoreResult extract_bytes(const std::string& bytes, const RestoreTargets& targets,
                                   const OpenKey& key = {}) {
    SilentProgress progress;
    const FileDescriptor fd = reading(bytes);
    return open_backup(fd.get(), key)->extract(targets, progress);
}

inline RestoreTargets into(const std::string& directory) {
    RestoreTargets targets;
    targets.volumes["/data"] = directory;
    return targets;
}

// The kind of the error that the call ends with; fails the test where there is none.
template <class Call>
std::string error_of(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        return std::string(kind_word(error.kind())) + ": " + error.what();
    }
    return "no error";
}

}  // namespace drunner::test
