#include <sys/stat.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "archive/digest.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/tree_size.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/side_by_side.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

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

// What the engine has of a service, or of all of them.
struct EngineFacts {
    std::map<std::string, std::string> pins;  // pinned image -> id
    std::set<std::string> volumes;
    std::vector<ContainerSummary> containers;
};

EngineFacts facts_about(Machine& machine, const Manifest& manifest) {
    EngineFacts facts;
    const std::string pin = pinned_image(manifest.name, manifest.current);
    if (const std::optional<Image> image = machine.engine.find_image(pin)) {
        facts.pins[pin] = image->id;
    }
    for (const ManagedVolume& volume : manifest.volumes) {
        if (machine.engine.find_volume(volume.name)) {
            facts.volumes.insert(volume.name);
        }
    }
    facts.containers = machine.engine.list_containers({});
    return facts;
}

// Three requests, however many services there are.
EngineFacts facts_about_all(Machine& machine) {
    EngineFacts facts;
    for (const ImageTag& tag : machine.engine.list_tags(pin_repository)) {
        facts.pins[tag.reference] = tag.image_id;
    }
    for (const Volume& volume : machine.engine.list_volumes({})) {
        facts.volumes.insert(volume.name);
    }
    facts.containers = machine.engine.list_containers({});
    return facts;
}

std::vector<Problem> problems_of_engine(const EngineFacts& facts, const Manifest& manifest) {
    std::vector<Problem> problems;
    const ServiceName& name = manifest.name;
    const std::string pin = pinned_image(name, manifest.current);
    const auto image = facts.pins.find(pin);
    if (image == facts.pins.end()) {
        problems.push_back({"pin", "image '" + pin + "' is missing", recover_command(name)});
    } else if (image->second != manifest.release().image_id) {
        problems.push_back(
            {"pin", "image '" + pin + "' was moved by somebody else", recover_command(name)});
    }
    for (const ManagedVolume& volume : manifest.volumes) {
        if (!facts.volumes.contains(volume.name)) {
            problems.push_back({"volume-missing",
                                "volume '" + volume.name + "' is missing; its data is not here",
                                recover_command(name) + " --empty"});
        }
    }
    const std::string keep = keep_container(name);
    if (std::none_of(facts.containers.begin(), facts.containers.end(),
                     [&](const ContainerSummary& container) { return container.name == keep; })) {
        problems.push_back(
            {"keep-container",
             "container '" + keep + "' is missing, which keeps the volumes from being pruned",
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

// What the disk tells `list` of a service.
struct ListedFiles {
    std::optional<Manifest> manifest;
    bool broken = false;
    bool unfinished = false;
};

ListedFiles listed_files(const Machine& machine, const Catalog& catalog, const ServiceName& name) {
    ListedFiles files;
    try {
        files.manifest = catalog.find(name);
    } catch (const Error&) {
        files.manifest.reset();  // broken, as without one
    }
    files.broken = !files.manifest || !problems_of_files(machine, *files.manifest).empty();
    files.unfinished = !operation_of(machine, name).empty() && !is_in_progress(machine, name);
    return files;
}

// Of all of them; many services are a matter of many small files, which cores share.
std::vector<ListedFiles> files_of_all(const Machine& machine, const Catalog& catalog,
                                      const std::vector<ServiceName>& names) {
    std::vector<ListedFiles> files(names.size());
    const std::size_t readers = std::max(1U, std::thread::hardware_concurrency());
    const auto read_share = [&](std::size_t share) {
        for (std::size_t i = share; i < names.size(); i += readers) {
            files[i] = listed_files(machine, catalog, names[i]);
        }
    };
    std::vector<std::future<void>> others;
    for (std::size_t share = 1; share < std::min(readers, names.size()); ++share) {
        others.push_back(std::async(std::launch::async, read_share, share));
    }
    read_share(0);
    for (std::future<void>& other : others) {
        other.get();
    }
    return files;
}

// The names of the running containers of each service.
std::map<std::string, std::vector<std::string>> running_of(
    const std::vector<ContainerSummary>& containers, const std::vector<ServiceName>& names) {
    std::map<std::string, std::vector<std::string>> running;
    for (const ContainerSummary& container : containers) {
        const auto owner = container.labels.find(label::service);
        if (owner != container.labels.end()) {
            if (!container.labels.contains(label::keep)) {
                running[owner->second].push_back(container.name);
            }
            continue;
        }
        // Images of 2016 label nothing: the longest service name that fits is the owner.
        const ServiceName* best = nullptr;
        for (const ServiceName& name : names) {
            if ((container.name == name.text() || container.name.starts_with(name.text() + "-")) &&
                (best == nullptr || name.text().size() > best->text().size())) {
                best = &name;
            }
        }
        if (best != nullptr) {
            running[best->text()].push_back(container.name);
        }
    }
    return running;
}

// What the files of a volume take, in bytes; empty where they do not lie on this machine.
std::optional<std::uint64_t> size_here(const Volume& volume) {
    if (volume.driver != "local" || !volume.options.empty() ||
        file_type(volume.mountpoint) != FileType::directory) {
        return std::nullopt;
    }
    return bytes_below(volume.mountpoint);
}

// What the disk tells of a service, without its engine.
ServiceCondition examine_files(Machine& machine, const ServiceName& name) {
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
        append(condition.problems, problems_of_files(machine, *condition.manifest));
        append(condition.problems, problems_of_scripts(machine, *condition.manifest));
        condition.hold = current_hold(machine, *condition.manifest);
    }
    return condition;
}

void add_engine(const Machine& machine, const EngineFacts& facts, ServiceCondition& condition) {
    append(condition.problems, problems_of_engine(facts, *condition.manifest));
    condition.containers = containers_of(machine, condition.name, facts.containers);
}

// The status hooks of a version 2 service.
void add_hooks(Machine& machine, ServiceCondition& condition) {
    if (machine.check || !condition.manifest || !condition.whole() ||
        condition.manifest->release().config.version < 2) {
        return;
    }
    const int version = condition.manifest->release().config.version;
    for (const Hook hook : {Hook::status_start, Hook::status_end}) {
        try {
            run_plain_hook(machine, condition.name, {hook, version, {}, "status"});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            condition.problems.push_back(
                {"status-hook", error.what(), condition.name.text() + " help"});
        }
    }
}

ServiceCondition condition_of(Machine& machine, const ServiceName& name, const EngineFacts& facts) {
    try {
        ServiceCondition condition = examine_files(machine, name);
        if (condition.manifest) {
            require_own_engine(machine, *condition.manifest);
            add_engine(machine, facts, condition);
        }
        add_hooks(machine, condition);
        return condition;
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        // Of another engine, or gone meanwhile.
        return {name, std::nullopt, {{"unknown", error.what(), error.next()}}, {}, {}};
    }
}

}  // namespace

ServiceCondition examine(Machine& machine, const ServiceName& name) {
    ServiceCondition condition = examine_files(machine, name);
    if (condition.manifest) {
        require_own_engine(machine, *condition.manifest);
        add_engine(machine, facts_about(machine, *condition.manifest), condition);
    }
    return condition;
}

ServiceCondition status(Machine& machine, const ServiceName& name) {
    ServiceCondition condition = examine(machine, name);
    add_hooks(machine, condition);
    return condition;
}

std::vector<ServiceCondition> status_all(Machine& machine, unsigned jobs) {
    const std::vector<ServiceName> names = Catalog(machine.paths).names();
    std::vector<ServiceCondition> conditions;
    std::vector<Work> list;
    for (const ServiceName& name : names) {
        conditions.push_back({name, std::nullopt, {}, {}, {}});
        list.push_back({name.text()});
    }
    if (names.empty()) {
        return conditions;
    }
    const EngineFacts facts = facts_about_all(machine);
    work_side_by_side(machine, list, jobs, [&](Machine& own, std::size_t place) {
        conditions[place] = condition_of(own, names[place], facts);
        return true;
    });
    return conditions;
}

std::vector<ListedService> list_services(Machine& machine) {
    const Catalog catalog(machine.paths);
    const std::vector<ServiceName> names = catalog.names();
    std::vector<ListedService> services;
    if (names.empty()) {
        return services;
    }
    // The engine takes about as long for each answer as all files together.
    auto asked_containers = std::async(
        std::launch::async, [&] { return machine.engine.list_containers({.running = true}); });
    auto asked_volumes =
        std::async(std::launch::async, [&] { return machine.engine.list_volumes({}); });
    const std::vector<ListedFiles> files = files_of_all(machine, catalog, names);
    bool engine_answers = true;
    std::vector<ContainerSummary> containers;
    std::set<std::string> volumes;
    try {
        containers = asked_containers.get();
        for (const Volume& volume : asked_volumes.get()) {
            volumes.insert(volume.name);
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        machine.progress.warning(error.what());
        engine_answers = false;
    }
    std::map<std::string, std::vector<std::string>> running = running_of(containers, names);
    for (std::size_t i = 0; i < names.size(); ++i) {
        ListedService service{names[i], {}, {}, running[names[i].text()], {}};
        bool broken = files[i].broken;
        bool elsewhere = false;
        if (const std::optional<Manifest>& manifest = files[i].manifest) {
            service.image = manifest->release().reference;
            service.updated_at = manifest->release().installed_at;
            service.hold = current_hold(machine, *manifest);
            elsewhere = !same_socket(manifest->engine_socket, machine.engine_socket);
            broken = broken || (engine_answers && !elsewhere &&
                                std::any_of(manifest->volumes.begin(), manifest->volumes.end(),
                                            [&](const ManagedVolume& volume) {
                                                return !volumes.contains(volume.name);
                                            }));
        }
        if (files[i].unfinished) {
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

std::vector<LeftVolume> list_left_volumes(Machine& machine) {
    const std::string id_file = machine.paths.installation_id();
    if (!exists(id_file)) {
        return {};
    }
    const std::string installation(trim(read_file(id_file)));
    std::vector<LeftVolume> left;
    ObjectFilter own;
    own.labels.push_back(std::string(label::installation) + "=" + installation);
    for (const Volume& volume : machine.engine.list_volumes(own)) {
        const auto service = volume.labels.find(label::service);
        if (service == volume.labels.end() || !ServiceName::is_valid(service->second) ||
            exists(machine.paths.manifest(ServiceName(service->second)))) {
            continue;
        }
        const auto path = volume.labels.find(label::path);
        left.push_back({ServiceName(service->second), volume.name,
                        path == volume.labels.end() ? "" : path->second, volume.created_at,
                        size_here(volume)});
    }
    std::sort(left.begin(), left.end(), [](const LeftVolume& a, const LeftVolume& b) {
        return std::pair(a.service.text(), a.name) < std::pair(b.service.text(), b.name);
    });
    return left;
}

}  // namespace drunner
