#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "host/process.hpp"
#include "host/tree_size.hpp"
#include "operation/backup_directory.hpp"
#include "operation/backup_steps.hpp"
#include "operation/backup_target.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/streamed_volumes.hpp"
#include "operation/update_steps.hpp"
#include "operation/volumes.hpp"
#include "service/secrets.hpp"

namespace drunner {
namespace {

// A copy over a slow line takes its time.
constexpr std::chrono::hours longest_after_backup{24};

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
        volumes.push_back(backup_volume(access, *volume, managed.path));
    }
    return volumes;
}

std::string new_backup_path(const Machine& machine, const ServiceName& name,
                            const BackupRequest& request) {
    const std::string directory = machine.config.backup_directory + "/" + name.text();
    if (!machine.check) {
        make_directories(directory);
    }
    const auto path_at = [&](TimePoint time) {
        return directory + "/" + backup_file_name(time, !request.key.empty());
    };
    TimePoint time = machine.clock.now();
    while (exists(path_at(time))) {
        time += std::chrono::seconds(1);  // two backups of one second
    }
    return path_at(time);
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

// Before a hook runs for a file that cannot be made.
void require_new_file(const ServiceName& name, const std::string& file) {
    const std::string way_out = "drunner backup " + name.text() + " OTHERFILE";
    if (exists(file)) {
        throw Error(ErrorKind::file_exists, "'" + printable(file) + "' exists already", way_out);
    }
    if (!std::filesystem::is_directory(parent_of(file))) {
        throw Error(ErrorKind::system,
                    "'" + printable(parent_of(file)) + "' is no directory to write a backup to",
                    way_out);
    }
}

// What the volumes hold, in bytes of their files, as far as they can be reached.
std::uint64_t size_of(const std::vector<BackupVolume>& volumes) {
    std::uint64_t sum = 0;
    for (const BackupVolume& volume : volumes) {
        sum += volume.streamed ? 0 : bytes_below(volume.source);
    }
    return sum;
}

// Says what is free. The last backup tells what this one will take; before the first, the volumes
// tell what it takes at most.
void require_room(Machine& machine, const std::string& file, const Manifest& manifest,
                  const std::vector<BackupVolume>& volumes) {
    const std::string directory = parent_of(file);
    const std::uint64_t free = room_in(directory);
    if (!manifest.last_backup || manifest.last_backup->written_bytes == 0) {
        machine.progress.note("the volumes of '" + manifest.name.text() + "' hold " +
                              human_size(size_of(volumes)) + ", and " + human_size(free) +
                              " are free in '" + printable(directory) + "'");
        return;
    }
    const std::uint64_t needed = manifest.last_backup->written_bytes;
    machine.progress.note("the last backup of '" + manifest.name.text() + "' took " +
                          human_size(needed) + ", and " + human_size(free) + " are free in '" +
                          printable(directory) + "'");
    if (free < needed) {
        throw Error(ErrorKind::no_space,
                    "'" + printable(directory) + "' has " + human_size(free) +
                        " free, and the last backup of '" + manifest.name.text() + "' took " +
                        human_size(needed) + ": " + human_size(needed - free) + " are missing",
                    "drunner backup " + manifest.name.text() + " OTHERDIRECTORY/FILE");
    }
}

// Where the disk is too small, the error says how much is missing.
BackupResult write_file_of(const BackupJob& job, const std::string& file, Progress& progress) {
    const std::string directory = parent_of(file);
    const std::uint64_t free = free_space(directory);
    try {
        return write_backup_file(job, file, progress);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::no_space) {
            throw;
        }
        throw Error(ErrorKind::no_space,
                    std::string(error.what()) + ": " + human_size(free) + " were free in '" +
                        printable(directory) + "', and the volumes hold " +
                        human_size(size_of(job.header.volumes)) + " before compression",
                    "drunner backup " + job.header.service + " OTHERDIRECTORY/FILE");
    }
}

void warn_of_loss(Machine& machine, const Manifest& manifest, const BackupResult& result) {
    const std::optional<BackupRecord>& last = manifest.last_backup;
    if (last && result.original_bytes < last->original_bytes / 2) {
        machine.progress.warning("this backup of '" + manifest.name.text() + "' holds " +
                                 human_size(result.original_bytes) + ", less than half of the " +
                                 human_size(last->original_bytes) + " in that of " + last->at +
                                 ": is data missing?");
    }
}

// The operator's AFTER_BACKUP: a copy elsewhere that fails is a backup that failed.
void hand_on(Machine& machine, const ServiceName& name, const std::string& file) {
    BoundedProcess process;
    process.arguments = {"/bin/sh", "-c", machine.config.after_backup};
    process.environment = {"PATH=" + machine.caller_path, "SERVICENAME=" + name.text(),
                           "BACKUP_FILE=" + file};
    process.limit = longest_after_backup;
    process.output = [&](std::string_view bytes) { machine.progress.script_output(bytes); };
    process.started = [&](pid_t group) {
        if (machine.lock != nullptr) {
            machine.lock->admit(group);
        }
    };
    const BoundedResult result = run_bounded(process);
    if (result.timed_out || result.status != 0) {
        throw Error(ErrorKind::script_failed,
                    "the backup '" + printable(file) + "' is whole, but AFTER_BACKUP " +
                        (result.timed_out ? "did not end"
                                          : "failed with status " + std::to_string(result.status)),
                    "SERVICENAME=" + name.text() + " BACKUP_FILE=" + file + " sh -c '...'");
    }
}

}  // namespace

BackupVolume backup_volume(VolumeAccess& access, const Volume& volume, const std::string& path) {
    BackupVolume found{path, volume.name, volume.driver, volume.labels, volume.options, {}};
    found.streamed = !access.why_streamed(volume).empty();
    if (!found.streamed) {
        found.source = access.directory(volume);
    }
    return found;
}

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
    header.after = release.config.after;
    return header;
}

void perform_backup(Machine& machine, Transaction& transaction, const ServiceName& name,
                    const BackupPlan& plan, const BackupRequest& request, BackupReport& report,
                    TargetUpload* upload) {
    const std::string outer = machine.paths.service(name) + "/backup-" + transaction.id();
    const std::string hook_directory = outer + "/files";
    transaction.perform(make_path(outer, [&] { make_hook_directory(outer); }));
    transaction.after_commit(removing_path(outer));
    HookStep hook{Hook::backup_start, plan.hook_version, {hook_directory}, plan.verb};
    std::size_t started = 0;
    if (plan.hook_version != 0) {
        started = transaction.perform(run_hook(machine, name, transaction.journal(), hook));
    }
    // Behind backupstart, which may need the containers for a dump and may stop some itself.
    const nlohmann::json ran = record_containers(machine, name);
    std::optional<std::size_t> held;
    if (request.containers == WhileReading::stopped) {
        held = transaction.perform(stop_service(machine, name, ran.dump()));
    } else if (request.containers == WhileReading::paused) {
        held = transaction.perform(pause_service(machine, name, ran.dump()));
    }
    BackupJob job;
    job.header = plan.header;
    job.header.volumes = plan.find_volumes();
    std::unique_ptr<MountedVolumes> mounted;
    for (const BackupVolume& volume : job.header.volumes) {
        if (volume.streamed) {
            report.streamed.push_back(volume.name);
        }
    }
    if (!report.streamed.empty()) {
        tell_streamed_reading(machine, report.streamed);
        transaction.perform(mount_volumes(machine, plan.header.image_id, transaction.id(),
                                          report.streamed, mounted));
        for (BackupVolume& volume : job.header.volumes) {
            if (volume.streamed) {
                volume.stream = mounted->stream(volume.name);
            }
        }
    }
    job.scripts_directory = plan.scripts_directory;
    job.hook_directory = hook_directory;
    if (!request.key.empty()) {
        job.header.secrets = SecretStore(machine.paths.secrets(name)).all();
        std::erase_if(job.header.secrets_left_out, [&](const std::string& secret) {
            return job.header.secrets.contains(secret);
        });
    }
    report.secrets_left_out = job.header.secrets_left_out;
    if (request.with_image) {
        job.header.image_embedded = true;
        job.image = [&](const ByteSink& sink) {
            machine.engine.save_image(job.header.image_id, sink);
        };
    }
    job.key = request.key;
    job.level = request.level;
    job.workers = request.workers;
    job.want_sha256 = request.want_sha256 || upload != nullptr;
    if (upload != nullptr) {
        report.result = write_backup(
            job, [&](Bytes bytes) { upload->write(bytes); }, machine.progress);
    } else if (request.output >= 0) {
        report.result = write_backup(
            job, [&](Bytes bytes) { write_all(request.output, bytes); }, machine.progress);
    } else {
        transaction.perform(make_path(report.file, [&] {
            report.result = write_file_of(job, report.file, machine.progress);
        }));
    }
    if (held) {
        resume_containers(machine, ran);
        transaction.settle(*held);
    }
    if (plan.hook_version == 0) {
        return;
    }
    hook.hook = Hook::backup_end;
    const bool ended = run_tolerant_hook(machine, name, transaction.journal(), hook);
    transaction.settle(started);
    if (!ended) {
        throw Error(ErrorKind::script_failed, "'" + hook_name(Hook::backup_end, plan.hook_version) +
                                                  "' of the service failed, so the backup does "
                                                  "not count");
    }
}

void tell_left_out(Machine& machine, const BackupResult& result) {
    for (const std::string& file : result.vanished) {
        machine.progress.warning("'" + printable(file) + "' changed while it was read");
    }
    for (const std::string& file : result.skipped) {
        machine.progress.note("'" + printable(file) + "' is a socket, left out");
    }
}

unsigned long long room_in(std::string directory) {
    while (!exists(directory) && parent_of(directory) != directory) {
        directory = parent_of(directory);
    }
    return free_space(directory);
}

BackupReport backup(Machine& machine, const ServiceName& name, const BackupRequest& request) {
    check_backup_key(request.key);
    const bool to_file = request.output < 0 && request.target == nullptr;
    if (to_file && !request.file.empty()) {
        require_new_file(name, request.file);
    }
    const ServiceSession session(machine, name, ServiceSession::Use::nested);
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_own_engine(machine, manifest);
    require_servicerunner(machine, name);
    BackupPlan plan;
    plan.verb = "backup";
    plan.header = header_of(machine, manifest);
    plan.header.excludes.insert(plan.header.excludes.end(), request.excludes.begin(),
                                request.excludes.end());
    plan.scripts_directory = machine.paths.release_scripts(name, manifest.current);
    plan.hook_version = manifest.release().config.version;
    plan.find_volumes = [&] { return volumes_of(machine, manifest); };
    const std::vector<BackupVolume> volumes = plan.find_volumes();
    BackupReport report;
    report.excludes = plan.header.excludes;
    report.file = request.target != nullptr ? request.target->name_of(name, "new")
                  : !to_file                ? "-"
                  : request.file.empty()    ? new_backup_path(machine, name, request)
                                            : request.file;
    if (to_file) {
        require_room(machine, report.file, manifest, volumes);
        tell_change(machine, "backup '" + printable(report.file) + "' is new");
    }
    if (request.target != nullptr) {
        // Before anything is stopped for a place that is none.
        request.target->list(name);
        tell_change(machine, "backup '" + printable(report.file) + "' is new");
    }
    if (machine.check) {
        return report;
    }
    std::unique_ptr<TargetUpload> upload;
    transact(machine, name, "backup", [&](Transaction& transaction) {
        // What backupstart paused or stopped comes back also where backup fails.
        transaction.perform(remember_containers(machine, name));
        if (request.target != nullptr) {
            upload = request.target->begin(name, machine.clock.now(), !request.key.empty());
        }
        perform_backup(machine, transaction, name, plan, request, report, upload.get());
        if (upload != nullptr) {
            report.file = request.target->name_of(name, upload->finish(report.result.sha256));
        }
        // Inside another operation service.json is that one's to write.
        if (!machine.nested) {
            Manifest recorded = manifest;
            BackupRecord record{iso8601(machine.clock.now()), report.file,
                                report.result.original_bytes, report.result.written_bytes};
            if (request.with_image) {
                record.written_bytes =
                    manifest.last_backup ? manifest.last_backup->written_bytes : 0;
            }
            recorded.last_backup = std::move(record);
            transaction.perform(write_manifest(machine, recorded));
        }
    });
    if (upload != nullptr) {
        upload->keep();
    }
    warn_of_loss(machine, manifest, report.result);
    if (!report.secrets_left_out.empty()) {
        machine.progress.warning(
            "secrets are left out: " + join(report.secrets_left_out, ", ") +
            (request.key.empty() ? " (the backup is not encrypted)" : " (they are not set)"));
    }
    tell_left_out(machine, report.result);
    if (to_file && !machine.config.after_backup.empty()) {
        hand_on(machine, name, report.file);
    }
    return report;
}

}  // namespace drunner
