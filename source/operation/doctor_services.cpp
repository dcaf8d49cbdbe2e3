#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/doctor_checks.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

bool is_unfinished(const Examination& examination, const ServiceName& name) {
    return !read_journals(examination.machine.paths, name).empty();
}

// Services whose state is told by their service.json: what is unfinished is recovered first.
std::vector<const Manifest*> settled(const Examination& examination) {
    std::vector<const Manifest*> manifests;
    for (const ServiceName& name : examination.services) {
        const Manifest* manifest = examination.manifest(name.text());
        if (manifest != nullptr && !is_unfinished(examination, name)) {
            manifests.push_back(manifest);
        }
    }
    return manifests;
}

std::vector<const Manifest*> settled_here(const Examination& examination) {
    std::vector<const Manifest*> manifests = settled(examination);
    std::erase_if(manifests, [&](const Manifest* one) {
        return examination.manifest_here(one->name) == nullptr;
    });
    return manifests;
}

// What `status` says of the service under one of these ids.
std::vector<Problem> problems_of(const Examination& examination, const Manifest& manifest,
                                 std::string_view prefix) {
    std::vector<Problem> problems = examine(examination.machine, manifest.name).problems;
    std::erase_if(problems, [&](const Problem& one) { return !one.id.starts_with(prefix); });
    return problems;
}

std::function<void()> recovering(Machine& machine, const ServiceName& name) {
    return [&machine, name] { recover(machine, name, {}); };
}

std::vector<std::string> entries_of(const std::string& directory) {
    return file_type(directory) == FileType::directory ? directory_entries(directory)
                                                       : std::vector<std::string>();
}

}  // namespace

void check_unfinished(const Examination& examination, const Tell& tell) {
    for (const ServiceName& name : examination.services) {
        const std::vector<JournalRecord> records = read_journals(examination.machine.paths, name);
        if (!records.empty()) {
            tell({name.text(),
                  "'" + records.back().command + "' of " + records.back().started + " on '" +
                      name.text() + "' was interrupted",
                  {},
                  [&machine = examination.machine, name] {
                      const ServiceSession session(machine, name);
                  }});
        }
    }
}

void check_empty_directories(const Examination& examination, const Tell& tell) {
    for (const ServiceName& name : examination.services) {
        const std::string directory = examination.machine.paths.service(name);
        if (directory_entries(directory).empty() && !examination.has_own_keep(name.text())) {
            tell({name.text(),
                  "'" + directory + "' is empty",
                  {},
                  [&machine = examination.machine, name, directory] {
                      const ServiceSession session(machine, name);
                      rmdir(directory.c_str());
                  }});
        }
    }
}

void check_manifests(const Examination& examination, const Tell& tell) {
    for (const ServiceName& name : examination.services) {
        const bool is_empty = directory_entries(examination.machine.paths.service(name)).empty();
        const bool has_keep = examination.has_own_keep(name.text());
        if (examination.manifest(name.text()) != nullptr || is_unfinished(examination, name) ||
            (is_empty && !has_keep)) {
            continue;
        }
        // The kept container still tells which image it was.
        const bool mendable = has_keep && examination.engine_problem.empty();
        tell({name.text(),
              "'" + examination.machine.paths.manifest(name) + "' is missing or cannot be read",
              "drunner recover " + name.text() + (mendable ? "" : " IMAGE"),
              mendable ? recovering(examination.machine, name) : std::function<void()>()});
    }
}

void check_bindings(const Examination& examination, const Tell& tell) {
    for (const Manifest* manifest : settled(examination)) {
        if (!same_socket(manifest->engine_socket, examination.machine.engine_socket)) {
            tell({manifest->name.text(),
                  "'" + manifest->name.text() + "' is bound to the engine at '" +
                      manifest->engine_socket + "'",
                  "drunner --host unix://" + manifest->engine_socket + " doctor " +
                      manifest->name.text(),
                  {}});
        }
    }
}

void check_scripts(const Examination& examination, const Tell& tell) {
    for (const Manifest* manifest : settled_here(examination)) {
        const std::string runner = examination.machine.paths.servicerunner(manifest->name);
        for (const Problem& problem : problems_of(examination, *manifest, "script-")) {
            const auto make_executable = [runner] {
                if (chmod(runner.c_str(), 0700) != 0) {
                    throw system_error("cannot set the mode of '" + runner + "'", errno);
                }
            };
            tell({manifest->name.text(),
                  problem.what,
                  {},
                  problem.id == "script-mode" ? std::function<void()>(make_executable)
                                              : recovering(examination.machine, manifest->name)});
        }
    }
}

void check_pins(const Examination& examination, const Tell& tell) {
    Machine& machine = examination.machine;
    for (const Manifest* manifest : settled_here(examination)) {
        const Release& release = manifest->release();
        for (const Problem& problem : problems_of(examination, *manifest, "pin")) {
            const bool has_image = machine.engine.find_image(release.image_id).has_value();
            const auto tag = under_lock(
                machine, manifest->name,
                [number = release.number](const Manifest& one) { return one.current == number; },
                [&machine](const Manifest& one) {
                    machine.engine.tag_image(one.release().image_id, pin_repository,
                                             pin_tag(one.name, one.current));
                });
            tell({manifest->name.text(),
                  problem.what,
                  {},
                  has_image ? tag : recovering(machine, manifest->name)});
        }
    }
}

void check_missing_volumes(const Examination& examination, const Tell& tell) {
    for (const Manifest* manifest : settled_here(examination)) {
        for (const Problem& problem : problems_of(examination, *manifest, "volume-missing")) {
            tell({manifest->name.text(),
                  problem.what,
                  problem.next + " (the data is lost then; a backup has it)",
                  {}});
        }
    }
}

void check_keep_containers(const Examination& examination, const Tell& tell) {
    Machine& machine = examination.machine;
    for (const Manifest* manifest : settled_here(examination)) {
        const bool data_is_here = problems_of(examination, *manifest, "volume-missing").empty();
        for (const Problem& problem : problems_of(examination, *manifest, "keep-container")) {
            const auto is_missing = [&machine](const Manifest& one) {
                return !machine.engine.find_container(keep_container(one.name));
            };
            const auto settle = [&machine](const Manifest& one) {
                transact(machine, one.name, "doctor", [](Transaction& transaction) {
                    transaction.after_commit(settling_keep());
                });
            };
            // A container that names a missing volume would make it anew, empty.
            tell({manifest->name.text(), problem.what, data_is_here ? "" : problem.next,
                  data_is_here ? under_lock(machine, manifest->name, is_missing, settle)
                               : std::function<void()>()});
        }
    }
}

void check_launchers(const Examination& examination, const Tell& tell) {
    const std::string& binary = examination.machine.drunner_binary;
    for (const Manifest* manifest : settled(examination)) {
        const std::string& link = manifest->launcher;
        const std::string service = manifest->name.text();
        struct stat status {};
        const auto is_its_launcher = [link](const Manifest& one) { return one.launcher == link; };
        const auto make = [link, binary](const Manifest&) {
            if (!exists(link)) {
                create_launcher(link, binary);
            } else if (is_launcher(link)) {
                replace_symlink(binary, link);
            }
        };
        const auto mend = under_lock(examination.machine, manifest->name, is_its_launcher, make);
        if (!exists(link)) {
            tell({service, "the command '" + link + "' is missing", {}, mend});
        } else if (!is_launcher(link)) {
            tell({service,
                  "something else stands where the command '" + link + "' was",
                  "mv " + link + " " + link + ".other && drunner doctor --fix " + service,
                  {}});
        } else if (stat(link.c_str(), &status) != 0 && exists(binary)) {
            tell({service, "the command '" + link + "' leads nowhere", {}, mend});
        }
    }
}

void check_releases(const Examination& examination, const Tell& tell) {
    for (const Manifest* manifest : settled_here(examination)) {
        const Paths& paths = examination.machine.paths;
        for (const std::string& entry : entries_of(paths.releases(manifest->name))) {
            int number = 0;
            const auto [end, error] =
                std::from_chars(entry.data(), entry.data() + entry.size(), number);
            if (error == std::errc() && end == entry.data() + entry.size() &&
                manifest->find_release(number) == nullptr) {
                const std::string directory = paths.release(manifest->name, number);
                tell({manifest->name.text(),
                      "'" + directory + "' is no release of the service",
                      {},
                      under_lock(
                          examination.machine, manifest->name,
                          [number](const Manifest& one) {
                              return one.find_release(number) == nullptr;
                          },
                          [directory](const Manifest&) { remove_tree(directory); })});
            }
        }
    }
}

// What operations leave beside the service's files when they die and their journal is gone too.
void check_temporaries(const Examination& examination, const Tell& tell) {
    for (const Manifest* manifest : settled(examination)) {
        const std::string directory = examination.machine.paths.service(manifest->name);
        for (const std::string& entry : directory_entries(directory)) {
            const bool is_temporary = is_made_by_operation(entry, "temp-", "") ||
                                      is_made_by_operation(entry, "backup-", "") ||
                                      is_made_by_operation(entry, "restore-", "") ||
                                      is_made_by_operation(entry, "snapshot-", "") ||
                                      is_made_by_operation(entry, "secrets-", "") ||
                                      is_made_by_operation(entry, "service.json.", ".new");
            // What service.json names is kept for a purpose.
            const auto is_unnamed = [entry](const Manifest& one) {
                return to_json(one).find(entry) == std::string::npos;
            };
            if (is_temporary && is_unnamed(*manifest)) {
                const std::string path = directory + "/" + entry;
                tell({manifest->name.text(),
                      "'" + path + "' is left over",
                      {},
                      under_lock(examination.machine, manifest->name, is_unnamed,
                                 [path](const Manifest&) { remove_tree(path); })});
            }
        }
    }
}

// The directories beside volumes that hold what a release was left with, for `rollback --data`.
std::set<std::string> kept_directories(const Paths& paths, const Manifest& manifest) {
    std::set<std::string> directories;
    for (const Release& release : manifest.releases) {
        if (const auto kept = read_kept_data(paths.kept_data(manifest.name, release.number))) {
            for (const KeptVolume& volume : kept->volumes) {
                directories.insert(volume.directory);
            }
        }
    }
    return directories;
}

void check_staging(const Examination& examination, const Tell& tell) {
    const Paths& paths = examination.machine.paths;
    for (const Manifest* manifest : settled_here(examination)) {
        const std::set<std::string> kept = kept_directories(paths, *manifest);
        for (const Volume& volume : examination.volumes) {
            const bool recorded =
                std::any_of(manifest->volumes.begin(), manifest->volumes.end(),
                            [&](const ManagedVolume& one) { return one.name == volume.name; });
            if (!recorded || volume.driver != "local" || !volume.options.empty()) {
                continue;
            }
            const std::string beside = parent_of(volume.mountpoint);
            for (const std::string& entry : entries_of(beside)) {
                const std::string path = beside + "/" + entry;
                if (!is_made_by_operation(entry, "drunner-", "") || kept.contains(path)) {
                    continue;
                }
                tell({manifest->name.text(),
                      "'" + path + "' is left over",
                      {},
                      [&machine = examination.machine, name = manifest->name, path,
                       volume = volume.name] {
                          const ServiceSession session(machine, name);
                          VolumeAccess(machine).directory(volume);
                          const auto now = Catalog(machine.paths).find(name);
                          if (now && !kept_directories(machine.paths, *now).contains(path)) {
                              remove_tree(path);
                          }
                      }});
            }
        }
    }
}

void check_backup_age(const Examination& examination, const Tell& tell) {
    const OperatorConfig& config = examination.machine.config;
    if (config.backup_max_age.count() == 0) {
        return;
    }
    for (const Manifest* manifest : settled(examination)) {
        const std::string directory = config.backup_directory + "/" + manifest->name.text();
        std::optional<TimePoint> newest;
        for (const std::string& entry : entries_of(directory)) {
            struct stat status {};
            const std::string file = directory + "/" + entry;
            if ((entry.ends_with(".tar.zst") || entry.ends_with(".tar.zst.age")) &&
                lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
                const TimePoint written = std::chrono::system_clock::from_time_t(status.st_mtime);
                newest = newest ? std::max(*newest, written) : written;
            }
        }
        if (!newest || examination.machine.clock.now() - *newest > config.backup_max_age) {
            tell({manifest->name.text(),
                  newest ? "the newest backup of '" + manifest->name.text() + "' is of " +
                               iso8601(*newest)
                         : "there is no backup of '" + manifest->name.text() + "' in '" +
                               directory + "'",
                  "drunner backup " + manifest->name.text(),
                  {}});
        }
    }
}

}  // namespace drunner
