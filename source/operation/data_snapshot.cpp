#include "operation/data_snapshot.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "backup/backup_file.hpp"
#include "backup/streamed_tree.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/tree_clone.hpp"
#include "operation/service_containers.hpp"
#include "operation/steps.hpp"
#include "operation/streamed_volumes.hpp"
#include "operation/volumes.hpp"

namespace drunner {
namespace {

using nlohmann::json;

std::string record_of(const std::string& directory) {
    return directory + "/data.json";
}

struct stat look_at(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        throw system_error("cannot look at '" + path + "'", errno);
    }
    return status;
}

// What runs is paused as long as this stands.
class PausedContainers {
  public:
    PausedContainers(Machine& machine, const ServiceName& service) : engine_(machine.engine) {
        for (const ContainerSummary& container : containers_of(machine, service)) {
            if (container.state == "running") {
                ids_.push_back(container.id);
                engine_.pause_container(container.id);
            }
        }
    }
    ~PausedContainers() {
        const CancellationShield shield;
        for (const std::string& id : ids_) {
            try {
                engine_.unpause_container(id);
            } catch (const Error&) {
                // remember-containers, which every such transaction begins with, brings it back.
            }
        }
    }
    PausedContainers(const PausedContainers&) = delete;
    PausedContainers& operator=(const PausedContainers&) = delete;

  private:
    Engine& engine_;
    std::vector<std::string> ids_;
};

void extract_archive(const std::string& directory, const RestoreTargets& targets,
                     Progress& progress) {
    const std::string file = archive_of(directory);
    const FileDescriptor input(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.valid()) {
        throw system_error("cannot read '" + file + "'", errno);
    }
    open_backup(input.get(), {})->extract(targets, progress);
}

// Room for the archive beside the service's files and, where it is put back, for the data beside
// each volume's.
void require_space(const Machine& machine, const SnapshotPlan& plan) {
    struct Need {
        std::string path;
        std::uint64_t bytes = 0;
    };
    std::map<dev_t, Need> needs;
    const auto add = [&](const std::string& path, std::uint64_t bytes) {
        Need& need = needs[look_at(path).st_dev];
        need.path = path;
        need.bytes += bytes;
    };
    add(machine.paths.services(), plan.archived_bytes);
    for (const SnapshotPlan::Entry& volume : plan.volumes) {
        if (!volume.clone && !volume.data.empty()) {
            add(volume.data, tree_size(volume.data));
        }
    }
    for (const auto& [device, need] : needs) {
        const unsigned long long available = free_space(need.path);
        if (need.bytes > available) {
            throw Error(ErrorKind::no_space,
                        "the snapshot that the data is rolled back from needs " +
                            std::to_string(need.bytes) + " bytes at '" + need.path + "', and " +
                            std::to_string(available) + " are free",
                        "make room, or set SNAPSHOT=off in " + machine.paths.config_file());
        }
    }
}

// Nobody tells how much a volume holds that can only be streamed: its data is read once, or until
// it is more than the limit.
std::uint64_t size_of_streamed(Machine& machine, const std::string& image,
                               const std::vector<std::string>& volumes) {
    if (volumes.empty() || machine.check) {
        return 0;
    }
    const MountedVolumes mounted(machine, image, "size", volumes);
    std::uint64_t size = 0;
    for (const std::string& volume : volumes) {
        size += streamed_size(mounted.stream(volume), machine.config.snapshot_limit);
    }
    return size;
}

// Empty where a snapshot of the volume can be taken, which is then in `entry`.
std::string why_left_out(Machine& machine, VolumeAccess& access, SnapshotPlan::Entry& entry) {
    const SnapshotPolicy policy = machine.config.snapshot;
    if (policy == SnapshotPolicy::off) {
        return "SNAPSHOT is off";
    }
    const std::optional<Volume> volume = machine.engine.find_volume(entry.name);
    if (!volume) {
        throw Error(ErrorKind::volume_missing, "volume '" + entry.name + "' is missing");
    }
    if (const std::string why = access.why_streamed(*volume); !why.empty()) {
        return policy == SnapshotPolicy::reflink ? "SNAPSHOT is reflink, and " + why : "";
    }
    entry.data = access.directory(*volume);
    if (is_mount_point(entry.data)) {
        return "'" + entry.data + "' is a mount point, which cannot be exchanged";
    }
    entry.clone = policy != SnapshotPolicy::copy && can_clone(entry.data);
    return policy == SnapshotPolicy::reflink && !entry.clone
               ? "SNAPSHOT is reflink, and its file system cannot clone files"
               : "";
}

}  // namespace

std::string archive_of(const std::string& directory) {
    return directory + "/data.tar.zst";
}

std::optional<KeptData> read_kept_data(const std::string& directory) {
    const std::string file = record_of(directory);
    if (!exists(file)) {
        return std::nullopt;
    }
    try {
        const json document = json::parse(read_file(file));
        KeptData data;
        for (const json& volume : document.at("volumes")) {
            data.volumes.push_back({volume.at("path"), volume.at("name"), volume.at("directory"),
                                    volume.value("inode", ino_t{0})});
        }
        data.left_out = document.at("left_out");
        data.archived_bytes = document.at("archived_bytes");
        return data;
    } catch (const json::exception& error) {
        throw Error(ErrorKind::broken, "'" + file + "' is damaged: " + error.what());
    }
}

void write_kept_data(const std::string& directory, const KeptData& data) {
    json volumes = json::array();
    for (const KeptVolume& volume : data.volumes) {
        volumes.push_back(
            {{"path", volume.path}, {"name", volume.name}, {"directory", volume.directory}});
        if (volume.inode != 0) {
            volumes.back()["inode"] = volume.inode;
        }
    }
    write_file(record_of(directory), json{{"volumes", std::move(volumes)},
                                          {"left_out", data.left_out},
                                          {"archived_bytes", data.archived_bytes}}
                                             .dump(2) +
                                         "\n");
}

void remove_kept_data(const std::string& directory) {
    if (const std::optional<KeptData> data = read_kept_data(directory)) {
        for (const KeptVolume& volume : data->volumes) {
            if (!volume.directory.empty()) {
                remove_tree(volume.directory);
            }
        }
    }
    remove_tree(directory);
}

void keep_data(const Paths& paths, const ServiceName& service, int release,
               const std::string& snapshot) {
    std::optional<KeptData> data = read_kept_data(snapshot);
    if (!data) {
        return;  // it was moved already
    }
    // The older data goes before the first directory gets its name.
    const std::string place = paths.kept_data(service, release);
    remove_kept_data(place);
    for (KeptVolume& volume : data->volumes) {
        volume.inode = 0;
        if (volume.directory.empty()) {
            continue;
        }
        const std::string kept =
            parent_of(volume.directory) + "/drunner-data-" + std::to_string(release);
        if (volume.directory != kept && exists(volume.directory)) {
            remove_tree(kept);
            rename_file(volume.directory, kept);
        }
        volume.directory = kept;
    }
    write_kept_data(snapshot, *data);
    rename_file(snapshot, place);
}

SnapshotPlan plan_snapshot(Machine& machine, const std::vector<ManagedVolume>& volumes,
                           const std::string& image, std::uint64_t kept_bytes) {
    SnapshotPlan plan;
    plan.image = image;
    std::vector<std::string> streamed;
    VolumeAccess access(machine);
    for (const ManagedVolume& volume : volumes) {
        SnapshotPlan::Entry entry{volume.path, volume.name, "", false};
        if (std::string why = why_left_out(machine, access, entry); !why.empty()) {
            plan.left_out[volume.name] = std::move(why);
            continue;
        }
        if (entry.data.empty()) {
            streamed.push_back(entry.name);
        } else {
            plan.archived_bytes += entry.clone ? 0 : tree_size(entry.data);
        }
        plan.volumes.push_back(std::move(entry));
    }
    plan.archived_bytes += size_of_streamed(machine, image, streamed);
    if (plan.archived_bytes + kept_bytes > machine.config.snapshot_limit) {
        const std::string why =
            human_size(plan.archived_bytes) + " of data" +
            (kept_bytes > 0 ? ", and " + human_size(kept_bytes) + " that are kept already," : "") +
            " are more than SNAPSHOTLIMIT (" + human_size(machine.config.snapshot_limit) + ")";
        std::erase_if(plan.volumes, [&](const SnapshotPlan::Entry& volume) {
            if (!volume.clone) {
                plan.left_out[volume.name] = why;
            }
            return !volume.clone;
        });
        plan.archived_bytes = 0;
        streamed.clear();
    }
    tell_streamed_reading(machine, streamed);
    require_space(machine, plan);
    for (const auto& [name, why] : plan.left_out) {
        machine.progress.warning("data of '" + name + "' cannot be rolled back because " + why);
    }
    return plan;
}

Step snapshot_volumes(Machine& machine, const ServiceName& service, const SnapshotPlan& plan,
                      const std::string& operation) {
    const std::string directory = machine.paths.snapshot(service, operation);
    json volumes = json::array();
    for (const SnapshotPlan::Entry& volume : plan.volumes) {
        volumes.push_back({{"path", volume.path}});
        if (volume.data.empty()) {
            volumes.back()["streamed"] = volume.name;
        } else {
            volumes.back()["data"] = volume.data;
            volumes.back()["beside"] = staging_directory(volume.data, operation);
        }
    }
    return {"snapshot-volumes",
            json{{"directory", directory}, {"volumes", volumes}, {"image", plan.image}}.dump(),
            [&machine, service, plan, directory, operation] {
                make_directories(directory);
                KeptData taken;
                taken.left_out = plan.left_out;
                taken.archived_bytes = plan.archived_bytes;
                BackupJob job;
                job.header.service = service.text();
                job.level = 1;
                std::vector<std::string> streamed;
                for (const SnapshotPlan::Entry& volume : plan.volumes) {
                    if (volume.data.empty()) {
                        streamed.push_back(volume.name);
                    }
                }
                std::optional<MountedVolumes> mounted;
                if (!streamed.empty()) {
                    mounted.emplace(machine, plan.image, operation, streamed);
                }
                const PausedContainers paused(machine, service);
                for (const SnapshotPlan::Entry& volume : plan.volumes) {
                    KeptVolume kept{volume.path, volume.name, "", 0};
                    if (volume.clone) {
                        kept.directory = staging_directory(volume.data, operation);
                        clone_tree(volume.data, kept.directory);
                        kept.inode = inode_of(kept.directory);
                    } else {
                        BackupVolume source;
                        source.path = volume.path;
                        source.name = volume.name;
                        source.source = volume.data;
                        if (volume.data.empty()) {
                            source.streamed = true;
                            source.stream = mounted->stream(volume.name);
                        }
                        job.header.volumes.push_back(std::move(source));
                    }
                    taken.volumes.push_back(std::move(kept));
                }
                if (!job.header.volumes.empty()) {
                    write_backup_file(job, archive_of(directory), machine.progress);
                }
                write_kept_data(directory, taken);
            }};
}

void protect_data(Machine& machine, Transaction& transaction, const ServiceName& service,
                  const SnapshotPlan& plan, int release) {
    if (plan.volumes.empty() && plan.left_out.empty()) {
        return;
    }
    transaction.perform(snapshot_volumes(machine, service, plan, transaction.id()));
    const std::string snapshot = machine.paths.snapshot(service, transaction.id());
    transaction.after_commit(release == 0 ? removing_data(snapshot)
                                          : keeping_data(release, snapshot));
}

// A volume is put back by an exchange with the directory beside it, or, where it can only be
// streamed, in place. The inode of a clone tells whether that was done; an archive is extracted
// anew each time.
void undo_snapshot_volumes(const UndoContext& context, const json& parameters) {
    const std::string directory = parameters.at("directory");
    remove_scratch_of(context.machine.engine, context.operation);
    if (!exists(directory)) {
        return;  // nothing behind the snapshot was done, or all of it is undone
    }
    const json& volumes = parameters.at("volumes");
    if (const std::optional<KeptData> taken = read_kept_data(directory)) {
        stop_containers(context.machine, context.service);
        const auto clone_of = [&](const json& volume) {
            return std::find_if(taken->volumes.begin(), taken->volumes.end(),
                                [&](const KeptVolume& one) {
                                    return one.path == volume.at("path") && !one.directory.empty();
                                });
        };
        RestoreTargets targets;
        std::vector<std::string> streamed;
        std::optional<MountedVolumes> mounted;
        for (const json& volume : volumes) {
            if (volume.contains("streamed")) {
                streamed.push_back(volume.at("streamed"));
            }
        }
        if (!streamed.empty()) {
            const std::string image = parameters.at("image");
            clear_volumes(context.machine, image, context.operation, streamed);
            mounted.emplace(context.machine, image, context.operation, streamed);
        }
        for (const json& volume : volumes) {
            if (volume.contains("streamed")) {
                targets.streams[volume.at("path")] = mounted->stream(volume.at("streamed"));
                continue;
            }
            const std::string beside = volume.at("beside");
            if (clone_of(volume) == taken->volumes.end()) {
                remove_tree(beside);
                make_directories(beside);
                targets.volumes[volume.at("path")] = beside;
            }
        }
        if (!targets.volumes.empty() || !targets.streams.empty()) {
            extract_archive(directory, targets, context.machine.progress);
        }
        for (const json& volume : volumes) {
            if (volume.contains("streamed")) {
                continue;
            }
            const std::string data = volume.at("data");
            const auto clone = clone_of(volume);
            if (clone == taken->volumes.end() || inode_of(data) != clone->inode) {
                exchange_files(volume.at("beside"), data);
            }
        }
        mounted.reset();
        remove_scratch_of(context.machine.engine, context.operation);
        remove_tree(record_of(directory));
    }
    for (const json& volume : volumes) {
        if (volume.contains("beside")) {
            remove_tree(volume.at("beside").get<std::string>());
        }
    }
    remove_tree(directory);
}

void put_data_back(Machine& machine, Transaction& transaction, const ServiceName& service,
                   const Release& release) {
    const std::string kept_directory = machine.paths.kept_data(service, release.number);
    const KeptData kept = read_kept_data(kept_directory).value_or(KeptData());
    const json running = record_containers(machine, service);
    transaction.perform(stop_service(machine, service, running.dump()));
    RestoreTargets targets;
    std::map<std::string, std::string> beside;
    VolumeAccess access(machine);
    std::vector<std::string> streamed;
    for (const KeptVolume& volume : kept.volumes) {
        const std::optional<Volume> found = machine.engine.find_volume(volume.name);
        if (found && volume.directory.empty() && !access.why_streamed(*found).empty()) {
            streamed.push_back(volume.name);
            continue;
        }
        // Not under the name of the snapshot, which has a clone there.
        const std::string directory =
            staging_directory(access.directory(volume.name), transaction.id()) + "-back";
        transaction.perform(make_path(directory, [&] {
            if (volume.directory.empty()) {
                make_directories(directory);
            } else {
                clone_tree(volume.directory, directory);
            }
        }));
        transaction.after_commit(removing_path(directory));
        beside[volume.name] = directory;
        if (volume.directory.empty()) {
            targets.volumes[volume.path] = directory;
        }
    }
    std::unique_ptr<MountedVolumes> mounted;
    if (!streamed.empty()) {
        tell_streamed_writing(machine, streamed);
        transaction.perform(
            set_volumes_aside(machine, release.image_id, transaction.id(), streamed));
        transaction.after_commit(dropping_set_aside(release.image_id, transaction.id(), streamed));
        transaction.perform(
            mount_volumes(machine, release.image_id, transaction.id(), streamed, mounted));
        for (const KeptVolume& volume : kept.volumes) {
            if (std::find(streamed.begin(), streamed.end(), volume.name) != streamed.end()) {
                targets.streams[volume.path] = mounted->stream(volume.name);
            }
        }
    }
    if (!targets.volumes.empty() || !targets.streams.empty()) {
        extract_archive(kept_directory, targets, machine.progress);
    }
    mounted.reset();
    transaction.perform(exchange_volume_data(machine, beside));
    transaction.after_commit(removing_data(kept_directory));
    restore_containers(machine, service, running);
}

ino_t inode_of(const std::string& path) {
    return look_at(path).st_ino;
}

}  // namespace drunner
