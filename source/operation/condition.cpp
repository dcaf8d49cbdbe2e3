#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "archive/digest.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

bool is_running(const ContainerSummary& container) {
    return container.state == "running" || container.state == "paused" ||
           container.state == "restarting";
}

std::string recover_command(const ServiceName& name) {
    return "drunner recover " + name.text();
}

// What the disk alone says: it decides whether `list` calls a service broken.
std::vector<Problem> problems_of_files(const Machine& machine, const Manifest& manifest) {
    std::vector<Problem> problems;
    const ServiceName& name = manifest.name;
    const std::string scripts = machine.paths.scripts(name);
    for (const char* file : {"servicerunner", "servicecfg.sh", "variables.sh", "utils.sh"}) {
        if (file_type(scripts + "/" + file) != FileType::regular) {
            problems.push_back({"script-missing", "'" + scripts + "/" + file + "' is missing",
                                recover_command(name)});
        }
    }
    if (!exists(machine.paths.imagename(name))) {
        problems.push_back({"script-missing", "'" + machine.paths.imagename(name) + "' is missing",
                            recover_command(name)});
    }
    // The scratch copy of a drill has none.
    if (!manifest.launcher.empty() && !is_launcher(manifest.launcher)) {
        problems.push_back({"launcher",
                            "the command '" + manifest.launcher + "' is missing or not drunner's",
                            recover_command(name)});
    }
    return problems;
}

std::vector<Problem> problems_of_scripts(const Machine& machine, const Manifest& manifest) {
    std::vector<Problem> problems;
    const std::string scripts = machine.paths.scripts(manifest.name);
    for (const auto& [path, hash] : manifest.release().script_hashes) {
        const std::string file = scripts + "/" + path;
        if (path == "variables.sh" || path == "utils.sh") {
            continue;
        }
        if (file_type(file) != FileType::regular) {
            problems.push_back(
                {"script-missing", "'" + file + "' is missing", recover_command(manifest.name)});
        } else if (sha256_of_file(file) != hash) {
            problems.push_back({"script-changed", "'" + file + "' is not what the image carries",
                                recover_command(manifest.name)});
        }
    }
    struct stat status {};
    if (stat((scripts + "/servicerunner").c_str(), &status) == 0 &&
        (status.st_mode & S_IXUSR) == 0) {
        problems.push_back({"script-mode", "'" + scripts + "/servicerunner' is not executable",
                            recover_command(manifest.name)});
    }
    return problems;
}

std::vector<Problem> problems_of_engine(Machine& machine, const Manifest& manifest) {
    std::vector<Problem> problems;
    const ServiceName& name = manifest.name;
    const std::string pin = pinned_image(name, manifest.current);
    const std::optional<Image> image = machine.engine.find_image(pin);
    if (!image) {
        problems.push_back({"pin", "image '" + pin + "' is missing", recover_command(name)});
    } else if (image->id != manifest.release().image_id) {
        problems.push_back(
            {"pin", "image '" + pin + "' was moved by somebody else", recover_command(name)});
    }
    for (const ManagedVolume& volume : manifest.volumes) {
        if (!machine.engine.find_volume(volume.name)) {
            problems.push_back({"volume-missing",
                                "volume '" + volume.name + "' is missing; its data is not here",
                                recover_command(name) + " --empty"});
        }
    }
    if (!machine.engine.find_container(keep_container(name))) {
        problems.push_back({"keep-container",
                            "container '" + keep_container(name) +
                                "' is missing, which keeps the volumes from being pruned",
                            recover_command(name)});
    }
    return problems;
}

void append(std::vector<Problem>& to, std::vector<Problem> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// "'drunner update blog' since ..." of the journal that stands, empty where there is none.
std::string operation_of(const Machine& machine, const ServiceName& name) {
    const std::vector<JournalRecord> records = read_journals(machine.paths, name);
    return records.empty() ? std::string()
                           : "'" + records.back().command + "' since " + records.back().started;
}

bool is_in_progress(const Machine& machine, const ServiceName& name) {
    return !FileLock::holder(machine.paths.lock(name)).empty();
}

}  // namespace

ServiceCondition examine(Machine& machine, const ServiceName& name) {
    ServiceCondition condition{name, std::nullopt, {}, {}, {}};
    if (!exists(machine.paths.service(name))) {
        Catalog(machine.paths).load(name);  // says that it is not installed, and what is near
    }
    const std::string operation = operation_of(machine, name);
    if (!operation.empty()) {
        if (is_in_progress(machine, name)) {
            condition.operation = operation;
        } else {
            condition.problems.push_back({"unfinished",
                                          operation + " was interrupted and is unfinished",
                                          recover_command(name)});
        }
    }
    try {
        condition.manifest = Catalog(machine.paths).find(name);
        if (!condition.manifest && condition.problems.empty() && condition.operation.empty()) {
            condition.problems.push_back({"manifest",
                                          "'" + machine.paths.manifest(name) + "' is missing",
                                          recover_command(name) + " IMAGE"});
        }
    } catch (const Error& error) {
        condition.problems.push_back({"manifest", error.what(), recover_command(name) + " IMAGE"});
    }
    if (condition.manifest) {
        require_own_engine(machine, *condition.manifest);
        append(condition.problems, problems_of_files(machine, *condition.manifest));
        append(condition.problems, problems_of_scripts(machine, *condition.manifest));
        append(condition.problems, problems_of_engine(machine, *condition.manifest));
        condition.containers = containers_of(machine, name);
        condition.hold = current_hold(machine, *condition.manifest);
    }
    return condition;
}

ServiceCondition status(Machine& machine, const ServiceName& name) {
    ServiceCondition condition = examine(machine, name);
    if (machine.check || !condition.manifest || !condition.whole() ||
        condition.manifest->release().config.version < 2) {
        return condition;
    }
    const int version = condition.manifest->release().config.version;
    for (const Hook hook : {Hook::status_start, Hook::status_end}) {
        try {
            run_plain_hook(machine, name, {hook, version, {}, "status"});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            condition.problems.push_back({"status-hook", error.what(), name.text() + " help"});
        }
    }
    return condition;
}

std::vector<ListedService> list_services(Machine& machine) {
    const Catalog catalog(machine.paths);
    const std::vector<ServiceName> names = catalog.names();
    std::vector<ListedService> services;
    if (names.empty()) {
        return services;
    }
    bool engine_answers = true;
    std::vector<ContainerSummary> containers;
    std::set<std::string> volumes;
    try {
        containers = machine.engine.list_containers({});
        for (const Volume& volume : machine.engine.list_volumes({})) {
            volumes.insert(volume.name);
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        machine.progress.warning(error.what());
        engine_answers = false;
    }
    std::map<std::string, std::vector<std::string>> running;
    for (const ContainerSummary& container : containers) {
        const auto owner = container.labels.find(label::service);
        if (is_running(container) && owner != container.labels.end() &&
            !container.labels.contains(label::keep)) {
            running[owner->second].push_back(container.name);
        } else if (is_running(container) && owner == container.labels.end()) {
            // Images of 2016 label nothing: the longest service name that fits is the owner.
            const ServiceName* best = nullptr;
            for (const ServiceName& name : names) {
                if ((container.name == name.text() ||
                     container.name.starts_with(name.text() + "-")) &&
                    (best == nullptr || name.text().size() > best->text().size())) {
                    best = &name;
                }
            }
            if (best != nullptr) {
                running[best->text()].push_back(container.name);
            }
        }
    }
    for (const ServiceName& name : names) {
        ListedService service{name, {}, {}, running[name.text()], {}};
        std::optional<Manifest> manifest;
        bool broken = false;
        try {
            manifest = catalog.find(name);
        } catch (const Error&) {
            broken = true;
        }
        const bool unfinished =
            !operation_of(machine, name).empty() && !is_in_progress(machine, name);
        bool elsewhere = false;
        if (manifest) {
            service.image = manifest->release().reference;
            service.updated_at = manifest->release().installed_at;
            service.hold = current_hold(machine, *manifest);
            elsewhere = !same_socket(manifest->engine_socket, machine.engine_socket);
            broken = !problems_of_files(machine, *manifest).empty() ||
                     (engine_answers && !elsewhere &&
                      std::any_of(manifest->volumes.begin(), manifest->volumes.end(),
                                  [&](const ManagedVolume& volume) {
                                      return !volumes.contains(volume.name);
                                  }));
        } else {
            broken = true;
        }
        if (unfinished) {
            service.state = "unfinished";
        } else if (broken) {
            service.state = "broken";
        } else if (!engine_answers || elsewhere) {
            service.state = "unknown";
        } else {
            service.state = service.running.empty() ? "stopped" : "running";
        }
        services.push_back(std::move(service));
    }
    return services;
}

}  // namespace drunner
