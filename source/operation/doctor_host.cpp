#include <fts.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "operation/doctor_checks.hpp"
#include "operation/final_backup.hpp"
#include "operation/schedule.hpp"
#include "operation/session.hpp"

namespace drunner {
namespace {

constexpr mode_t others_write = S_IWGRP | S_IWOTH;
constexpr mode_t others_anything = S_IRWXG | S_IRWXO;

struct Misplaced {
    std::string path;
    mode_t mode;  // what it should have
};

// What the file should be like where it is not: root's, and without the bits of `forbidden`.
void judge(const std::string& path, const struct stat& status, mode_t forbidden,
           std::vector<Misplaced>& wrong) {
    if (!S_ISLNK(status.st_mode) &&
        (status.st_uid != geteuid() || (status.st_mode & forbidden) != 0)) {
        wrong.push_back({path, (status.st_mode & 07777U) & ~forbidden});
    }
}

void judge_file(const std::string& path, mode_t forbidden, std::vector<Misplaced>& wrong) {
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0) {
        judge(path, status, forbidden, wrong);
    }
}

// The files that mount_secret makes for a container belong to who reads them there.
bool is_mounted_secret(const FTSENT& entry) {
    constexpr short level = 3;  // secrets/NAME/FILE
    return entry.fts_level == level && std::string_view(entry.fts_name) != "content" &&
           std::string_view(entry.fts_parent->fts_parent->fts_name) == "secrets";
}

// Below a service's directory; what scripts and hooks get for their own use is theirs.
std::vector<Misplaced> misplaced_below(const std::string& directory) {
    std::vector<Misplaced> wrong;
    std::string root = directory;
    std::array<char*, 2> roots{root.data(), nullptr};
    const std::unique_ptr<FTS, int (*)(FTS*)> walk(
        fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr), fts_close);
    if (!walk) {
        throw system_error("cannot read '" + directory + "'", errno);
    }
    while (FTSENT* entry = fts_read(walk.get())) {
        const std::string_view name(entry->fts_name, entry->fts_namelen);
        const bool theirs = name == "temp" || name.starts_with("temp-") ||
                            name.starts_with("backup-") || name.starts_with("restore-");
        if (entry->fts_level == 1 && theirs) {
            fts_set(walk.get(), entry, FTS_SKIP);
        } else if (entry->fts_info != FTS_DP && entry->fts_statp != nullptr &&
                   !is_mounted_secret(*entry)) {
            judge(entry->fts_path, *entry->fts_statp, others_anything, wrong);
        }
    }
    return wrong;
}

void tell_misplaced(const std::string& service, std::vector<Misplaced> wrong, const Tell& tell) {
    if (wrong.empty()) {
        return;
    }
    std::string what = "'" + printable(wrong.front().path) + "'";
    if (wrong.size() > 1) {
        what += " and " + std::to_string(wrong.size() - 1) + " more";
    }
    what += wrong.size() > 1 ? " have the wrong owner or mode" : " has the wrong owner or mode";
    tell({service, what, {}, [wrong = std::move(wrong)] {
              for (const Misplaced& file : wrong) {
                  if (lchown(file.path.c_str(), geteuid(), getegid()) != 0 ||
                      chmod(file.path.c_str(), file.mode) != 0) {
                      throw system_error("cannot set owner and mode of '" + file.path + "'", errno);
                  }
              }
          }});
}

std::string nearest_existing(std::string path) {
    while (!exists(path) && path != "/") {
        path = parent_of(path);
    }
    return path;
}

void check_disk(const std::string& path, std::vector<dev_t>& seen, const Tell& tell) {
    constexpr unsigned long long roomy = 1ULL << 30U;
    constexpr unsigned long long share = 50;  // a fiftieth is 2 %
    const std::string place = nearest_existing(path);
    struct stat status {};
    struct statvfs space {};
    if (stat(place.c_str(), &status) != 0 || statvfs(place.c_str(), &space) != 0 ||
        std::find(seen.begin(), seen.end(), status.st_dev) != seen.end()) {
        return;
    }
    seen.push_back(status.st_dev);
    const unsigned long long free = space.f_bavail * space.f_frsize;
    const unsigned long long total = space.f_blocks * space.f_frsize;
    if (free < roomy && free < total / share) {
        tell({{},
              "only " + human_size(free) + " of " + human_size(total) + " are free at '" + place +
                  "'",
              "drunner clean",
              {}});
    } else if (space.f_files > 0 && space.f_favail < space.f_files / share) {
        tell({{}, "hardly any inodes are free at '" + place + "'", "df -i " + place, {}});
    }
}

// The file's content, where all services agree about it.
std::string agreed_installation(const Examination& examination) {
    std::string agreed;
    for (const auto& [name, manifest] : examination.manifests) {
        if (!agreed.empty() && manifest.installation != agreed) {
            return {};
        }
        agreed = manifest.installation;
    }
    return agreed;
}

}  // namespace

void check_installation_id(const Examination& examination, const Tell& tell) {
    const std::string file = examination.machine.paths.installation_id();
    const std::string agreed = agreed_installation(examination);
    if (examination.installation.empty() && !examination.manifests.empty()) {
        const auto write = [file, agreed] { write_file(file, agreed); };
        const std::string what = "'" + file + "' is missing, which services are installed by";
        tell({{},
              what,
              agreed.empty() ? "restore " + file + " from a backup of this host" : "",
              agreed.empty() ? std::function<void()>() : write});
        return;
    }
    for (const ServiceName& name : examination.services) {
        const Manifest* manifest = examination.manifest(name.text());
        if (manifest != nullptr && manifest->installation != examination.installation) {
            tell({name.text(),
                  "'" + name.text() + "' was installed by another drunner than this one",
                  "drunner backup " + name.text(),
                  {}});
        }
    }
}

void check_modes(const Examination& examination, const Tell& tell) {
    const Paths& paths = examination.machine.paths;
    if (examination.whole_host) {
        std::vector<Misplaced> wrong;
        for (const std::string& path : {paths.state(), paths.services(), paths.undelete()}) {
            judge_file(path, others_anything, wrong);
        }
        judge_file(paths.installation_id(), others_anything, wrong);
        judge_file(paths.config_file(), others_write, wrong);
        for (const std::string& entry : directory_entries(paths.undelete())) {
            judge_file(paths.undelete() + "/" + entry, others_anything, wrong);
        }
        tell_misplaced({}, std::move(wrong), tell);
    }
    for (const ServiceName& name : examination.services) {
        tell_misplaced(name.text(), misplaced_below(paths.service(name)), tell);
    }
}

void check_path(const Examination& examination, const Tell& tell) {
    const std::string& directory = examination.machine.config.launcher_directory;
    const std::vector<std::string> path = split(examination.machine.caller_path, ':');
    if (examination.whole_host && !examination.known.empty() &&
        std::find(path.begin(), path.end(), directory) == path.end()) {
        tell({{},
              "'" + directory + "' is not on PATH",
              "export PATH=\"$PATH:" + directory + "\"",
              {}});
    }
}

void check_disks(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    std::vector<dev_t> seen;
    check_disk(examination.machine.paths.state(), seen, tell);
    check_disk(examination.machine.paths.undelete(), seen, tell);
    check_disk(examination.machine.config.backup_directory, seen, tell);
    for (const Volume& volume : examination.volumes) {
        if (examination.is_own(volume.labels) && exists(volume.mountpoint)) {
            check_disk(volume.mountpoint, seen, tell);
        }
    }
}

// Only links to this very binary in the launchers' directory of this installation.
void check_orphan_launchers(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    const Machine& machine = examination.machine;
    for (const std::string& entry : directory_entries(machine.config.launcher_directory)) {
        const std::string link = machine.config.launcher_directory + "/" + entry;
        if (ServiceName::is_valid(entry) && !entry.starts_with("drunner") &&
            examination.is_gone(entry) && read_symlink(link) == machine.drunner_binary) {
            tell({entry,
                  "the command '" + link + "' belongs to no service",
                  {},
                  while_gone(examination, entry, [link, &machine] {
                      if (read_symlink(link) == machine.drunner_binary) {
                          remove_tree(link);
                      }
                  })});
        }
    }
}

void check_locks(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    constexpr std::string_view suffix = ".lock";
    Machine& machine = examination.machine;
    for (const std::string& entry : directory_entries(machine.paths.locks())) {
        const std::string file = machine.paths.locks() + "/" + entry;
        const std::string service =
            entry.ends_with(suffix) ? entry.substr(0, entry.size() - suffix.size()) : "";
        if (ServiceName::is_valid(service) && examination.is_gone(service) &&
            FileLock::holder(file).empty()) {
            // A session on a service that is not there takes its lock away with it.
            tell({service, "'" + file + "' is left over", {}, [&machine, service] {
                      const ServiceSession session(machine, ServiceName(service));
                  }});
        }
    }
}

void check_partial_backups(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    const Machine& machine = examination.machine;
    std::vector<std::string> directories{machine.paths.undelete()};
    for (const std::string& entry : directory_entries(machine.config.backup_directory)) {
        if (ServiceName::is_valid(entry)) {
            directories.push_back(machine.config.backup_directory + "/" + entry);
        }
    }
    for (const std::string& directory : directories) {
        if (file_type(directory) != FileType::directory) {
            continue;
        }
        for (const std::string& entry : directory_entries(directory)) {
            const std::string file = directory + "/" + entry;
            const std::size_t id = entry.find(".tar.zst");
            const bool is_part =
                entry.starts_with(".") && id != std::string::npos && entry.ends_with(".part");
            if (is_part && is_abandoned(machine, file)) {
                tell({{},
                      "'" + printable(file) + "' is a backup that was never completed",
                      {},
                      [file] { remove_tree(file); }});
            }
        }
    }
}

void check_expired(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Machine& machine = examination.machine;
    for (const DeletedService& service : list_deleted(machine)) {
        if (is_expired(machine, service)) {
            tell({service.name.text(),
                  "the final backup '" + service.file + "' is expired",
                  {},
                  [&machine] { remove_expired(machine); }});
        }
    }
}

void check_schedules(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Machine& machine = examination.machine;
    std::vector<ScheduleState> states;
    try {
        states = list_schedules(machine);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        tell({{}, error.what(), error.next().empty() ? "drunner help schedule" : error.next(), {}});
    }
    for (const ScheduleState& state : states) {
        const std::string id = state.schedule.id();
        const std::string words = "schedule '" + printable(id) + "'";
        for (const ServiceName& name : state.gone) {
            tell({name.text(),
                  words + " is for a service that is not installed",
                  "drunner schedule remove " + id,
                  {}});
        }
        // With a service that is gone it is not set again.
        if (!state.stands && state.gone.empty()) {
            tell({{}, "the timer of " + words + " is gone", {}, [&machine, state] {
                      set_schedule(machine, state.schedule);
                  }});
        }
        if (state.schedule.exit_code == static_cast<int>(ExitCode::error)) {
            tell({{},
                  "the last run of " + words + ", at " + state.schedule.began_at + ", failed",
                  "drunner schedule run " + id,
                  {}});
        }
    }
}

}  // namespace drunner
