#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/volumes.hpp"

namespace drunner {
namespace {

BackupHeader header_of(const Machine& machine, const Manifest& manifest) {
    const Release& release = manifest.release();
    BackupHeader header;
    header.service = manifest.name.text();
    header.created_at = iso8601(machine.clock.now());
    header.drunner_version = machine.version;
    header.image_reference = release.reference;
    header.image_digest = release.image_digest;
    header.image_id = release.image_id;
    header.settings = manifest.settings;
    header.secrets_left_out = manifest.secrets;
    header.excludes = release.config.backup_exclude;
    return header;
}

// Where each volume's data lies. A volume that is not there is an error, and none is made.
std::vector<BackupVolume> volumes_of(Machine& machine, const Manifest& manifest) {
    VolumeAccess access(machine);
    std::vector<BackupVolume> volumes;
    for (const ManagedVolume& managed : manifest.volumes) {
        const std::optional<Volume> volume = machine.engine.find_volume(managed.name);
        if (!volume) {
            throw Error(ErrorKind::volume_missing,
                        "volume '" + managed.name + "' of '" + manifest.name.text() +
                            "' is missing; there is nothing to back up in its place",
                        "drunner status " + manifest.name.text());
        }
        volumes.push_back({managed.path, managed.name, volume->driver, volume->labels,
                           volume->options, access.directory(*volume)});
    }
    return volumes;
}

std::string new_backup_path(const Machine& machine, const ServiceName& name,
                            const BackupRequest& request) {
    const std::string directory = machine.config.backup_directory + "/" + name.text();
    make_directories(directory);
    return directory + "/" + compact_utc(machine.clock.now()) + ".tar.zst" +
           (request.key.empty() ? "" : ".age");
}

void write_all(int fd, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(fd, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            throw system_error("cannot write the backup to standard output", errno);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

// DIR of backupstart: open to the container's user, inside a directory that only root enters.
std::string make_hook_directory(const std::string& outer) {
    make_directories(outer, 0700);
    std::string inner = outer + "/files";
    make_directories(inner, 0777);
    return inner;
}

}  // namespace

BackupReport backup(Machine& machine, const ServiceName& name, const BackupRequest& request) {
    const bool to_file = request.output < 0;
    if (to_file && !request.file.empty() && exists(request.file)) {
        throw Error(ErrorKind::file_exists, "'" + printable(request.file) + "' exists already",
                    "drunner backup " + name.text() + " OTHERFILE");
    }
    const ServiceSession session(machine, name, true);
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_own_engine(machine, manifest);
    volumes_of(machine, manifest);
    BackupReport report;
    report.file = !to_file               ? "-"
                  : request.file.empty() ? new_backup_path(machine, name, request)
                                         : request.file;
    const int version = manifest.release().config.version;
    transact(machine, name, "backup", [&](Transaction& transaction) {
        const std::string outer = machine.paths.service(name) + "/backup-" + transaction.id();
        const std::string hook_directory = outer + "/files";
        // What backupstart paused or stopped comes back also where backupend fails.
        transaction.perform(remember_containers(machine, name));
        transaction.perform(make_path(outer, [&] { make_hook_directory(outer); }));
        transaction.after_commit(removing_path(outer));
        HookStep hook{Hook::backup_start, version, {hook_directory}, "backup"};
        const std::size_t started =
            transaction.perform(run_hook(machine, name, transaction.journal(), hook));
        BackupJob job;
        job.header = header_of(machine, manifest);
        job.header.volumes = volumes_of(machine, manifest);
        job.scripts_directory = machine.paths.release_scripts(name, manifest.current);
        job.hook_directory = hook_directory;
        job.key = request.key;
        job.level = request.level;
        const auto write = [&] {
            if (to_file) {
                report.result = write_backup_file(job, report.file, machine.progress);
            } else {
                report.result = write_backup(
                    job, [&](Bytes bytes) { write_all(request.output, bytes); }, machine.progress);
            }
        };
        if (to_file) {
            transaction.perform(make_path(report.file, write));
        } else {
            write();
        }
        hook.hook = Hook::backup_end;
        const bool ended = run_tolerant_hook(machine, name, transaction.journal(), hook);
        transaction.settle(started);
        if (!ended) {
            throw Error(ErrorKind::script_failed,
                        "'" + hook_name(Hook::backup_end, version) +
                            "' of the service failed, so the backup does not count");
        }
    });
    for (const std::string& file : report.result.vanished) {
        machine.progress.warning("'" + printable(file) + "' changed while it was read");
    }
    for (const std::string& file : report.result.skipped) {
        machine.progress.note("'" + printable(file) + "' is a socket, left out");
    }
    return report;
}

}  // namespace drunner
