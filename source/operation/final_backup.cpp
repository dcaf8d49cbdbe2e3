#include "operation/final_backup.hpp"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/volumes.hpp"

namespace drunner {
namespace {

constexpr std::string_view plain_suffix = ".tar.zst";
constexpr std::string_view encrypted_suffix = ".tar.zst.age";
constexpr std::string_view secrets_suffix = ".secrets";
constexpr std::size_t time_length = 16;  // 20261122T183000Z

// Bytes that a tree takes on its disk, each hard-linked file once: what zstd makes of it is not
// larger, whatever it holds.
unsigned long long size_on_disk(const std::string& directory) {
    std::string root = directory;
    std::array<char*, 2> roots{root.data(), nullptr};
    const std::unique_ptr<FTS, int (*)(FTS*)> walk(
        fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR, nullptr), fts_close);
    if (!walk) {
        throw system_error("cannot read '" + directory + "'", errno);
    }
    constexpr unsigned long long block = 512;
    constexpr unsigned long long member = 1024;  // its header and padding
    unsigned long long size = 0;
    std::set<std::pair<dev_t, ino_t>> linked;
    while (const FTSENT* entry = fts_read(walk.get())) {
        if (entry->fts_info == FTS_DP || entry->fts_statp == nullptr) {
            continue;
        }
        size += member;
        if (entry->fts_info == FTS_F &&
            (entry->fts_statp->st_nlink == 1 ||
             linked.emplace(entry->fts_statp->st_dev, entry->fts_statp->st_ino).second)) {
            size += static_cast<unsigned long long>(entry->fts_statp->st_blocks) * block;
        }
    }
    return size;
}

std::optional<DeletedService> parse_file(const std::string& directory, const std::string& entry) {
    const bool encrypted = entry.ends_with(encrypted_suffix);
    if (!encrypted && !entry.ends_with(plain_suffix)) {
        return std::nullopt;
    }
    const std::size_t end =
        entry.size() - (encrypted ? encrypted_suffix.size() : plain_suffix.size());
    if (end < time_length + 2 || entry[end - time_length - 1] != '-') {
        return std::nullopt;
    }
    const std::string name = entry.substr(0, end - time_length - 1);
    const auto deleted = parse_compact_utc(entry.substr(end - time_length, time_length));
    if (!deleted || !ServiceName::is_valid(name)) {
        return std::nullopt;
    }
    struct stat status {};
    const std::string file = directory + "/" + entry;
    if (lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return std::nullopt;
    }
    return DeletedService{ServiceName(name), *deleted, file,
                          static_cast<std::uint64_t>(status.st_size), encrypted};
}

// Two removals of one name within a second are told apart by the next second.
std::string free_file(const Machine& machine, const ServiceName& name, bool encrypted) {
    for (TimePoint time = machine.clock.now();; time += std::chrono::seconds(1)) {
        const std::string stem =
            machine.paths.undelete() + "/" + name.text() + "-" + compact_utc(time);
        if (!exists(stem + std::string(plain_suffix)) &&
            !exists(stem + std::string(encrypted_suffix))) {
            return stem + std::string(encrypted ? encrypted_suffix : plain_suffix);
        }
    }
}

// What the manifest records and what carries our labels, as far as the engine has it.
std::vector<BackupVolume> volumes_to_keep(Machine& machine, const Remnant& remnant) {
    std::vector<BackupVolume> kept;
    VolumeAccess access(machine);
    std::set<std::string> seen;
    const auto keep = [&](const std::string& name, const std::string& recorded_path) {
        if (!seen.insert(name).second) {
            return;
        }
        const std::optional<Volume> volume = machine.engine.find_volume(name);
        if (!volume) {
            machine.progress.warning("volume '" + name +
                                     "' is missing: the final backup is without it");
            return;
        }
        const auto labelled = volume->labels.find(label::path);
        const std::string path = !recorded_path.empty() || labelled == volume->labels.end()
                                     ? recorded_path
                                     : labelled->second;
        kept.push_back(backup_volume(access, *volume, path));
    };
    if (remnant.manifest) {
        for (const ManagedVolume& volume : remnant.manifest->volumes) {
            keep(volume.name, volume.path);
        }
    }
    for (const std::string& volume : remnant.volumes) {
        keep(volume, "");
    }
    return kept;
}

void require_room(const Machine& machine, const std::vector<BackupVolume>& volumes) {
    unsigned long long needed = 0;
    for (const BackupVolume& volume : volumes) {
        // What a streamed one takes nobody knows: a full disk is found when it is full.
        needed += volume.streamed ? 0 : size_on_disk(volume.source);
    }
    const unsigned long long free = room_in(machine.paths.undelete());
    if (needed > free) {
        throw Error(ErrorKind::no_space, "up to " + human_size(needed) + " are needed and " +
                                             human_size(free) + " are free in '" +
                                             machine.paths.undelete() + "'");
    }
}

BackupPlan plan_of(Machine& machine, const ServiceName& name, const Remnant& remnant) {
    BackupPlan plan;
    plan.verb = "obliterate";
    if (remnant.manifest) {
        plan.header = header_of(machine, *remnant.manifest);
        const std::string scripts = machine.paths.release_scripts(name, remnant.manifest->current);
        plan.scripts_directory =
            file_type(scripts) == FileType::directory ? scripts : std::string();
        if (file_type(machine.paths.servicerunner(name)) == FileType::regular) {
            plan.hook_version = remnant.manifest->release().config.version;
        } else {
            machine.progress.warning("'" + name.text() +
                                     "' has no servicerunner any more: the final backup is made "
                                     "without its hooks");
        }
    } else {
        plan.header.service = name.text();
        plan.header.created_at = iso8601(machine.clock.now());
        plan.header.drunner_version = machine.version;
        plan.header.image_reference = remnant.reference;
        plan.header.image_id = remnant.image_id;
    }
    return plan;
}

}  // namespace

Error without_final_backup(const ServiceName& name, const Error& error) {
    if (error.kind() == ErrorKind::interrupted) {
        return error;
    }
    const Error told(error.kind(),
                     "no final backup of '" + name.text() + "' can be made: " + error.what(),
                     "drunner obliterate " + name.text() + " --purge");
    return error.rolled_back() ? told.after_roll_back() : told;
}

std::optional<FinalBackup> plan_final_backup(Machine& machine, const ServiceName& name,
                                             const Remnant& remnant) {
    if (machine.config.undelete_age.count() == 0 ||
        (!remnant.manifest && remnant.volumes.empty())) {
        return std::nullopt;
    }
    try {
        if (remnant.files && !remnant.manifest) {
            throw Error(ErrorKind::broken,
                        "'" + machine.paths.manifest(name) + "', which tells how, cannot be read");
        }
        FinalBackup last{plan_of(machine, name, remnant), {}};
        const std::vector<BackupVolume> volumes = volumes_to_keep(machine, remnant);
        // What backupstart makes anew of a missing volume is empty, and no data of the service.
        last.plan.find_volumes = [volumes] { return volumes; };
        if (!machine.check) {
            make_directories(machine.paths.undelete());
        }
        require_room(machine, volumes);
        last.request.key.recipients = machine.config.recipients;
        last.request.file = free_file(machine, name, !machine.config.recipients.empty());
        return last;
    } catch (const Error& error) {
        throw without_final_backup(name, error);
    }
}

std::vector<DeletedService> list_deleted(const Machine& machine) {
    std::vector<DeletedService> deleted;
    const std::string directory = machine.paths.undelete();
    for (const std::string& entry : directory_entries(directory)) {
        if (auto service = parse_file(directory, entry)) {
            deleted.push_back(std::move(*service));
        }
    }
    std::stable_sort(
        deleted.begin(), deleted.end(),
        [](const DeletedService& a, const DeletedService& b) { return a.deleted > b.deleted; });
    return deleted;
}

std::string kept_secrets(const std::string& final_backup) {
    return final_backup + std::string(secrets_suffix);
}

bool is_expired(const Machine& machine, const DeletedService& service) {
    return machine.clock.now() - service.deleted > machine.config.undelete_age;
}

std::vector<std::string> remove_expired(Machine& machine) {
    std::vector<std::string> removed;
    for (const DeletedService& service : list_deleted(machine)) {
        if (!is_expired(machine, service)) {
            continue;
        }
        if (machine.check) {
            removed.push_back(service.file);
            continue;
        }
        try {
            remove_tree(kept_secrets(service.file));
            remove_tree(service.file);
            removed.push_back(service.file);
        } catch (const Error& error) {
            machine.progress.warning(error.what());
        }
    }
    // Secrets whose backup the operator took away.
    for (const std::string& entry : directory_entries(machine.paths.undelete())) {
        const std::string path = machine.paths.undelete() + "/" + entry;
        if (!machine.check && entry.ends_with(secrets_suffix) &&
            !exists(path.substr(0, path.size() - secrets_suffix.size()))) {
            remove_tree(path);
        }
    }
    return removed;
}

RestoreReport undelete(Machine& machine, const ServiceName& name, const UndeleteRequest& request) {
    const std::vector<DeletedService> deleted = list_deleted(machine);
    const auto newest = std::find_if(deleted.begin(), deleted.end(),
                                     [&](const DeletedService& one) { return one.name == name; });
    if (newest == deleted.end()) {
        throw Error(ErrorKind::not_installed, "there is no final backup of '" + name.text() + "'",
                    "drunner undelete --list");
    }
    const FileDescriptor input(open(newest->file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.valid()) {
        throw system_error("cannot read '" + newest->file + "'", errno);
    }
    RestoreRequest restoring;
    restoring.input = input.get();
    restoring.key = request.key;
    restoring.name = request.new_name ? *request.new_name : name;
    restoring.image = request.image;
    restoring.partial = request.partial;
    restoring.consumed_file = newest->file;
    return restore(machine, restoring);
}

}  // namespace drunner
