// Writes, reads and restores backup files without a service and without hooks, so that
// scripts/bench-backup can put what the format costs beside other programs.
//
//   backup-bench write DIRECTORY FILE [RECIPIENT]      the directory as a service's only volume
//   backup-bench restore FILE DIRECTORY [IDENTITIES]   into a directory that is empty
//   backup-bench verify FILE [IDENTITIES]
//
// Ends with one line: bytes of content, bytes of the file (only write), peak memory in KiB.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <exception>
#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "core/error.hpp"
#include "fakes/silent_progress.hpp"
#include "host/file.hpp"

using namespace drunner;

namespace {

constexpr const char* volume_path = "/data";

long peak_memory() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

void report(std::uint64_t content, std::uint64_t written) {
    fmt::print("{} {} {}\n", content, written, peak_memory());
}

void write(const std::vector<std::string>& arguments) {
    BackupJob job;
    job.header.service = "bench";
    job.header.created_at = "2024-01-01T00:00:00Z";
    job.header.drunner_version = "bench";
    job.header.image_reference = "bench";
    BackupVolume volume;
    volume.path = volume_path;
    volume.name = "bench";
    volume.source = arguments.at(1);
    job.header.volumes.push_back(volume);
    if (arguments.size() > 3) {
        job.key.recipients = {arguments[3]};
    }
    test::SilentProgress progress;
    const BackupResult result = write_backup_file(job, arguments.at(2), progress);
    report(result.original_bytes, result.written_bytes);
}

std::unique_ptr<BackupReader> open_file(const FileDescriptor& fd, const std::string& path,
                                        const std::vector<std::string>& arguments,
                                        std::size_t identities) {
    if (!fd.valid()) {
        throw system_error(fmt::format("cannot read '{}'", path), errno);
    }
    OpenKey key;
    if (arguments.size() > identities) {
        key.identity_file = arguments[identities];
    }
    return open_backup(fd.get(), key);
}

void read(const std::vector<std::string>& arguments) {
    const bool restores = arguments[0] == "restore";
    const std::string& path = arguments.at(1);
    const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const auto reader = open_file(fd, path, arguments, restores ? 3 : 2);
    test::SilentProgress progress;
    RestoreTargets targets;
    if (restores) {
        targets.volumes.emplace(volume_path, arguments.at(2));
    }
    const RestoreResult result =
        restores ? reader->extract(targets, progress) : reader->verify({}, progress);
    report(result.original_bytes, 0);
}

}  // namespace

int main(int count, char** words) {
    const std::vector<std::string> arguments(words + 1, words + count);
    try {
        if (arguments.at(0) == "write") {
            write(arguments);
        } else {
            read(arguments);
        }
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "backup-bench: {}\n", error.what());
        return 1;
    }
}
