#include "operation/steps.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "backup/streamed_tree.hpp"
#include "backup/tar.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/endpoint.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "host/network.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/secret_steps.hpp"
#include "operation/service_containers.hpp"
#include "operation/step_table.hpp"
#include "operation/streamed_volumes.hpp"
#include "service/generated_files.hpp"
#include "service/image_user.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::chrono::hours long_hook_limit{6};
constexpr std::chrono::minutes hook_limit{30};

std::string link_target(int number) {
    return "releases/" + std::to_string(number) + "/drunner";
}

bool made_by(const Labels& labels, std::string_view operation) {
    const auto found = labels.find(label::operation);
    return found != labels.end() && found->second == operation;
}

// Owner of the top directory, by way of the container's archive endpoint: for volumes whose data is
// not reachable on this machine.
void own_through_engine(Engine& engine, const std::string& container, const std::string& path,
                        const ImageUser& user) {
    TarEntry top =
        streamed_root({base_name(path),
                       [&](const ByteSink& sink) { engine.read_archive(container, path, sink); },
                       {}});
    top.uid = user.uid;
    top.gid = user.gid;
    const std::string tar = encode_tar_header(top) + tar_ending();
    std::size_t sent = 0;
    engine.write_archive(container, parent_of(path), [&](std::span<std::byte> buffer) {
        const std::size_t count = std::min(buffer.size(), tar.size() - sent);
        std::copy_n(as_bytes(tar).begin() + static_cast<std::ptrdiff_t>(sent), count,
                    buffer.begin());
        sent += count;
        return count;
    });
}

std::vector<VolumeMount> mounts_of(const std::vector<ManagedVolume>& volumes, bool copy) {
    std::vector<VolumeMount> mounts;
    for (const ManagedVolume& volume : volumes) {
        mounts.push_back({volume.name, volume.path, copy});
    }
    return mounts;
}

ContainerSpec keep_spec(const Manifest& manifest, const Release& release, std::string name) {
    ContainerSpec spec;
    spec.name = std::move(name);
    spec.image = pinned_image(manifest.name, release.number);
    spec.command = {"true"};
    spec.labels = {{label::service, manifest.name.text()},
                   {label::installation, manifest.installation},
                   {label::keep, "1"},
                   {"drunner.reference", release.reference}};
    spec.mounts = mounts_of(manifest.volumes, false);
    return spec;
}

// Gives the top directories of volumes, which `container` has mounted, to the image's user.
void own_new_volumes(Machine& machine, const std::string& container, const Release& release,
                     const std::vector<ManagedVolume>& made) {
    const ImageUser user{release.uid, release.gid};
    VolumeAccess access(machine);
    for (const ManagedVolume& volume : made) {
        const std::optional<Volume> found = machine.engine.find_volume(volume.name);
        if (found && !access.why_streamed(*found).empty()) {
            own_through_engine(machine.engine, container, volume.path, user);
            continue;
        }
        const std::string directory = access.directory(volume.name);
        if (chown(directory.c_str(), user.uid, user.gid) != 0) {
            throw system_error("cannot change the owner of '" + directory + "'", errno);
        }
    }
}

std::chrono::seconds limit_of(const Machine& machine, Hook hook) {
    if (machine.config.hook_timeout) {
        return *machine.config.hook_timeout;
    }
    return hook == Hook::backup_start || hook == Hook::restore
               ? std::chrono::seconds(long_hook_limit)
               : std::chrono::seconds(hook_limit);
}

HookResult call_hook(Machine& machine, const ServiceName& service, Journal* journal,
                     const HookStep& hook) {
    const std::string name = hook_name(hook.hook, hook.version);
    HookCall call;
    call.script = machine.paths.servicerunner(service);
    call.version = hook.version;
    call.hook = hook.hook;
    call.arguments = hook.arguments;
    call.input = hook.input;
    call.operation = hook.operation;
    call.docker_host = docker_host(machine.engine_socket);
    call.limit = limit_of(machine, hook.hook);
    call.output = [&](std::string_view bytes) { machine.progress.script_output(bytes); };
    call.started = [&](pid_t group) {
        if (machine.lock != nullptr) {
            machine.lock->admit(group);
        }
        if (journal != nullptr) {
            journal->hook_started(name, group);
        }
    };
    HookResult result = machine.scripts.run_hook(call);
    if (journal != nullptr && result.verdict != HookResult::Verdict::absent) {
        journal->hook_ended(name);
    }
    return result;
}

std::string failure_of(const HookResult& result, const std::string& name) {
    std::string text = "'" + name + "' of the service ";
    text += result.timed_out ? "did not end in time"
                             : "failed with status " + std::to_string(result.status);
    if (const std::string lines = quoted_lines(result.last_lines); !lines.empty()) {
        text += "; its last lines:" + lines;
    }
    return text;
}

void require_success(const HookResult& result, const HookStep& hook) {
    if (result.verdict == HookResult::Verdict::failed) {
        throw Error(result.timed_out ? ErrorKind::timed_out : ErrorKind::script_failed,
                    failure_of(result, hook_name(hook.hook, hook.version)));
    }
}

void undo_write_release(const UndoContext& context, const json& parameters) {
    remove_tree(context.machine.paths.release(context.service, parameters.at("release")));
    const std::string releases = context.machine.paths.releases(context.service);
    if (directory_entries(releases).empty()) {
        remove_tree(releases);
    }
}

void undo_renew_temp(const UndoContext& context, const json& parameters) {
    const std::string temp = context.machine.paths.temp(context.service);
    const std::string aside = parameters.at("aside");
    if (!parameters.at("existed").get<bool>()) {
        remove_tree(temp);
    } else if (exists(aside)) {
        remove_tree(temp);
        rename_file(aside, temp);
    }
}

void undo_pin_image(const UndoContext& context, const json& parameters) {
    const std::string tag = pinned_image(context.service, parameters.at("release"));
    const std::optional<Image> image = context.machine.engine.find_image(tag);
    if (image && image->id == parameters.at("image")) {
        remove_pin(context.machine, context.service, parameters.at("release"));
    }
}

void undo_make_volume(const UndoContext& context, const json& parameters) {
    const std::string name = parameters.at("name");
    const std::optional<Volume> volume = context.machine.engine.find_volume(name);
    if (!volume || !made_by(volume->labels, context.operation)) {
        return;
    }
    try {
        context.machine.engine.remove_volume(name);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::engine_conflict) {
            throw;
        }
        // By a container that the engine was still making for a hook that was killed.
        remove_containers(context.machine, context.service);
        context.machine.engine.remove_volume(name);
    }
}

void undo_fill_new_volumes(const UndoContext& context, const json&) {
    remove_scratch_of(context.machine.engine, context.operation);
}

void undo_make_keep_container(const UndoContext& context, const json& parameters) {
    const std::string name = parameters.at("name");
    const std::optional<Container> container = context.machine.engine.find_container(name);
    if (container && made_by(container->labels, context.operation)) {
        context.machine.engine.remove_container(name);
    }
}

void undo_link_release(const UndoContext& context, const json& parameters) {
    if (!parameters.at("imagename").get<bool>()) {
        remove_tree(context.machine.paths.imagename(context.service));
    }
    const std::string before = parameters.at("before");
    const std::string link = context.machine.paths.scripts(context.service);
    if (before.empty()) {
        remove_tree(link);
    } else if (read_symlink(link) != before) {
        replace_symlink(before, link);
    }
}

void undo_write_manifest(const UndoContext& context, const json& parameters) {
    const std::string path = context.machine.paths.manifest(context.service);
    const json& before = parameters.at("before");
    if (before.is_null()) {
        remove_tree(path);
    } else if (!exists(path) || read_file(path) != before.get<std::string>()) {
        write_file(path, before.get<std::string>());
    }
}

void undo_write_variables(const UndoContext&, const json& parameters) {
    const std::string path = parameters.at("path");
    const std::string before = parameters.at("before");
    if (read_file(path) != before) {
        write_file(path, before);
    }
}

void undo_make_launcher(const UndoContext& context, const json& parameters) {
    const std::string link = parameters.at("link");
    if (read_symlink(link) == context.machine.drunner_binary) {
        remove_launcher(link);
    }
}

void undo_remember_containers(const UndoContext& context, const json& parameters) {
    restore_containers(context.machine, context.service, parameters.at("containers"));
}

void undo_run_hook(const UndoContext& context, const json& parameters) {
    const auto hook = static_cast<Hook>(parameters.at("hook").get<int>());
    if (hook == Hook::install) {
        HookStep uninstall{
            Hook::uninstall, parameters.at("version"), {}, parameters.at("operation")};
        // An undo before this one, which failed further on, has taken the scripts away.
        if (file_type(context.machine.paths.servicerunner(context.service)) == FileType::regular) {
            const HookResult result =
                call_hook(context.machine, context.service, nullptr, uninstall);
            if (result.verdict == HookResult::Verdict::failed) {
                context.machine.progress.detail(
                    failure_of(result, hook_name(Hook::uninstall, uninstall.version)));
            }
        }
        remove_containers(context.machine, context.service);
    } else if (hook == Hook::backup_start) {
        HookStep end{Hook::backup_end, parameters.at("version"), parameters.at("arguments"),
                     parameters.at("operation")};
        const HookResult result = call_hook(context.machine, context.service, nullptr, end);
        if (result.verdict == HookResult::Verdict::failed) {
            context.machine.progress.warning(
                failure_of(result, hook_name(Hook::backup_end, end.version)));
        }
    }
}

// The inode tells which of the two directories stands where: it goes with an exchange.
void undo_exchange_volume_data(const UndoContext& context, const json& parameters) {
    stop_containers(context.machine, context.service);
    for (const auto& [volume, directories] : parameters.at("volumes").items()) {
        const std::string data = directories.at("data");
        if (exists(data) && inode_of(data) == directories.at("inode").get<ino_t>()) {
            exchange_files(directories.at("beside"), data);
        }
    }
}

void undo_make_path(const UndoContext&, const json& parameters) {
    remove_tree(parameters.at("path").get<std::string>());
}

void finish_removing_path(Machine&, const ServiceName&, const json& parameters) {
    remove_tree(parameters.at("path").get<std::string>());
}

void finish_keeping_data(Machine& machine, const ServiceName& service, const json& parameters) {
    keep_data(machine.paths, service, parameters.at("release"), parameters.at("snapshot"));
}

void finish_removing_data(Machine&, const ServiceName&, const json& parameters) {
    remove_kept_data(parameters.at("directory").get<std::string>());
}

void finish_removing_pin(Machine& machine, const ServiceName& service, const json& parameters) {
    remove_pin(machine, service, parameters.at("release"));
}

// What a killed drunner asked for last may still be in the making: its name is taken before it can
// be found.
void make_anew(Machine& machine, const ContainerSpec& spec) {
    constexpr std::chrono::milliseconds pause{100};
    for (int tries = 100;; --tries) {
        machine.engine.remove_container(spec.name);
        try {
            machine.engine.create_container(spec);
            return;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::engine_conflict || tries == 0) {
                throw;
            }
        }
        machine.clock.wait(pause);
    }
}

// Puts the release's tag back where somebody took it away. False where the image itself is gone.
bool put_pin_back(Machine& machine, const ServiceName& service, const Release& release) {
    if (machine.engine.find_image(pinned_image(service, release.number))) {
        return true;
    }
    if (!machine.engine.find_image(release.image_id)) {
        return false;
    }
    machine.engine.tag_image(release.image_id, pin_repository, pin_tag(service, release.number));
    return true;
}

void finish_settling_keep(Machine& machine, const ServiceName& service, const json&) {
    const Manifest manifest = Catalog(machine.paths).load(service);
    const std::string previous = previous_keep_container(service);
    const Release* const release = manifest.find_release(manifest.previous);
    if (release != nullptr && put_pin_back(machine, service, *release)) {
        make_anew(machine, keep_spec(manifest, *release, previous));
    } else {
        machine.engine.remove_container(previous);
        if (release != nullptr) {
            machine.progress.warning("the image of '" + service.text() +
                                     "' before this one is gone: there is no rollback to it");
        }
    }
    put_pin_back(machine, service, manifest.release());
    make_anew(machine, keep_spec(manifest, manifest.release(), keep_container(service)));
}

void finish_removing_keep(Machine& machine, const ServiceName& service, const json&) {
    machine.engine.remove_container(previous_keep_container(service));
    machine.engine.remove_container(keep_container(service));
}

void finish_removing_containers(Machine& machine, const ServiceName& service, const json&) {
    remove_containers(machine, service);
}

void finish_removing_networks(Machine& machine, const ServiceName& service, const json&) {
    const std::string mine = std::string(label::service) + "=" + service.text();
    for (const Network& network :
         machine.engine.list_networks({.labels = {mine}, .name = {}, .volume = {}})) {
        machine.engine.remove_network(network.id);
    }
}

void finish_removing_volumes(Machine& machine, const ServiceName& service, const json& parameters) {
    const std::string mine = std::string(label::service) + "=" + service.text();
    std::vector<std::string> names = parameters.at("adopted");
    for (const Volume& volume :
         machine.engine.list_volumes({.labels = {mine}, .name = {}, .volume = {}})) {
        const auto installation = volume.labels.find(label::installation);
        // Another installation's service of the same name keeps its data.
        if (installation != volume.labels.end() &&
            installation->second == parameters.at("installation")) {
            names.push_back(volume.name);
        }
    }
    std::vector<std::string> failures;
    for (const std::string& name : names) {
        try {
            machine.engine.remove_volume(name);
        } catch (const Error& error) {
            failures.push_back("cannot remove volume '" + name + "': " + error.what());
        }
    }
    if (!failures.empty()) {
        throw Error(ErrorKind::in_use, join(failures, "; "));
    }
}

void finish_removing_launcher(Machine&, const ServiceName&, const json& parameters) {
    remove_launcher(parameters.at("link").get<std::string>());
}

void finish_removing_service_files(Machine& machine, const ServiceName& service, const json&) {
    const std::string directory = machine.paths.service(service);
    const std::string journal = base_name(machine.paths.journal(service));
    // The manifest goes first: without it nothing takes the rest for a service.
    remove_tree(machine.paths.manifest(service));
    for (const std::string& release : directory_entries(machine.paths.releases(service))) {
        remove_kept_data(machine.paths.releases(service) + "/" + release + "/data");
    }
    for (const std::string& name : directory_entries(directory)) {
        if (!name.starts_with(journal)) {
            remove_tree(directory + "/" + name);
        }
    }
}

constexpr std::array step_rows{
    StepRow{"write-release", undo_write_release},
    StepRow{"renew-temp", undo_renew_temp},
    StepRow{"pin-image", undo_pin_image},
    StepRow{"make-volume", undo_make_volume},
    StepRow{"fill-new-volumes", undo_fill_new_volumes},
    StepRow{"make-keep-container", undo_make_keep_container},
    StepRow{"link-release", undo_link_release},
    StepRow{"write-manifest", undo_write_manifest},
    StepRow{"write-variables", undo_write_variables},
    StepRow{"make-launcher", undo_make_launcher},
    StepRow{"remember-containers", undo_remember_containers},
    StepRow{"run-hook", undo_run_hook},
    StepRow{"stop-service", undo_remember_containers},
    StepRow{"pause-service", undo_remember_containers},
    StepRow{"exchange-volume-data", undo_exchange_volume_data},
    StepRow{"snapshot-volumes", undo_snapshot_volumes},
    StepRow{"make-path", undo_make_path},
    StepRow{"exchange-secret", undo_exchange_secret},
    StepRow{"mount-volumes", undo_mount_volumes},
    StepRow{"set-volumes-aside", undo_set_volumes_aside},
};

constexpr std::array finish_rows{
    FinishRow{"removing-path", finish_removing_path},
    FinishRow{"keeping-data", finish_keeping_data},
    FinishRow{"removing-data", finish_removing_data},
    FinishRow{"removing-pin", finish_removing_pin},
    FinishRow{"settling-keep", finish_settling_keep},
    FinishRow{"removing-keep", finish_removing_keep},
    FinishRow{"removing-containers", finish_removing_containers},
    FinishRow{"removing-networks", finish_removing_networks},
    FinishRow{"removing-volumes", finish_removing_volumes},
    FinishRow{"removing-launcher", finish_removing_launcher},
    FinishRow{"removing-service-files", finish_removing_service_files},
    FinishRow{"dropping-set-aside", finish_dropping_set_aside},
};

template <typename Rows>
const auto& find_row(const Rows& rows, std::string_view name) {
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.name == name; });
    if (row == rows.end()) {
        throw Error(ErrorKind::unfinished,
                    "the journal names '" + printable(name) + "', which this drunner does not know",
                    "install the drunner that wrote it");
    }
    return *row;
}

}  // namespace

const StepRow& find_step(std::string_view name) {
    return find_row(step_rows, name);
}
const FinishRow& find_finish(std::string_view name) {
    return find_row(finish_rows, name);
}

Step write_release(Machine& machine, const Manifest& manifest, const Release& release,
                   const ImageFiles& files) {
    return {"write-release", json{{"release", release.number}}.dump(), [&] {
                const ServiceName& name = manifest.name;
                const std::string scripts = machine.paths.release_scripts(name, release.number);
                make_directories(scripts);
                for (const auto& [path, file] : files) {
                    make_directories(parent_of(scripts + "/" + path));
                    const bool runs = file.executable || path == "servicerunner";
                    write_file(scripts + "/" + path, file.content, runs ? 0700 : 0600);
                }
                write_file(scripts + "/utils.sh", utils_sh());
                write_file(scripts + "/variables.sh",
                           variables_sh({manifest, release, default_route_address(),
                                         machine.paths.temp(name), machine.paths.secrets(name)}));
                write_file(machine.paths.release(name, release.number) + "/imagename.sh",
                           imagename_sh(manifest, release));
            }};
}

Step renew_temp(Machine& machine, const ServiceName& service, const std::string& aside) {
    const std::string temp = machine.paths.temp(service);
    return {"renew-temp", json{{"aside", aside}, {"existed", exists(temp)}}.dump(), [temp, aside] {
                if (exists(temp)) {
                    rename_file(temp, aside);
                }
                make_directories(temp);
            }};
}

Step pin_image(Machine& machine, const ServiceName& service, const Release& release) {
    return {"pin-image", json{{"release", release.number}, {"image", release.image_id}}.dump(),
            [&] {
                machine.engine.tag_image(release.image_id, pin_repository,
                                         pin_tag(service, release.number));
            }};
}

Step make_volume(Machine& machine, const Manifest& manifest, const ManagedVolume& volume,
                 const std::string& operation) {
    return {"make-volume", json{{"name", volume.name}}.dump(), [&] {
                const Labels labels{{label::service, manifest.name.text()},
                                    {label::path, volume.path},
                                    {label::version, "1"},
                                    {label::installation, manifest.installation},
                                    {label::operation, operation}};
                // Creating a volume that exists succeeds: only the labels tell whose it is.
                const Volume made = machine.engine.create_volume(volume.name, labels);
                if (!made_by(made.labels, operation)) {
                    throw Error(ErrorKind::volume_foreign,
                                "volume '" + volume.name + "' was made by somebody else just now");
                }
            }};
}

Step fill_new_volumes(Machine& machine, const Release& release,
                      const std::vector<ManagedVolume>& made, const std::string& operation) {
    return {"fill-new-volumes", "{}", [&] {
                ContainerSpec spec;
                spec.image = release.image_id;
                spec.command = {"true"};
                spec.labels = {{label::scratch, "fill"}, {label::operation, operation}};
                spec.mounts = mounts_of(made, true);
                const std::string container = machine.engine.create_container(spec);
                own_new_volumes(machine, container, release, made);
                machine.engine.remove_container(container);
            }};
}

Step make_keep_container(Machine& machine, const Manifest& manifest,
                         const std::vector<ManagedVolume>& made, const std::string& operation) {
    const std::string name = keep_container(manifest.name);
    return {"make-keep-container", json{{"name", name}}.dump(),
            [&machine, &manifest, &made, name, operation] {
                const Release& release = manifest.release();
                ContainerSpec spec = keep_spec(manifest, release, name);
                spec.labels[label::operation] = operation;
                for (VolumeMount& mount : spec.mounts) {
                    mount.copy_image_content = std::any_of(
                        made.begin(), made.end(),
                        [&](const ManagedVolume& one) { return one.name == mount.volume; });
                }
                const std::string container = machine.engine.create_container(spec);
                own_new_volumes(machine, container, release, made);
            }};
}

Step link_release(Machine& machine, const ServiceName& service, int number) {
    const std::string link = machine.paths.scripts(service);
    const std::string imagename = machine.paths.imagename(service);
    const json parameters{{"before", read_symlink(link)}, {"imagename", exists(imagename)}};
    return {"link-release", parameters.dump(), [link, imagename, number] {
                if (!exists(imagename)) {
                    replace_symlink("drunner/../imagename.sh", imagename);
                }
                replace_symlink(link_target(number), link);
            }};
}

Step write_manifest(Machine& machine, const Manifest& manifest) {
    const std::string path = machine.paths.manifest(manifest.name);
    json before = exists(path) ? json(read_file(path)) : json();
    return {"write-manifest", json{{"before", std::move(before)}}.dump(),
            [&] { Catalog(machine.paths).save(manifest); }};
}

Step write_variables(Machine& machine, const Manifest& manifest) {
    const std::string path =
        machine.paths.release_scripts(manifest.name, manifest.current) + "/variables.sh";
    return {"write-variables", json{{"path", path}, {"before", read_file(path)}}.dump(),
            [&machine, &manifest, path] {
                write_file(path,
                           variables_sh({manifest, manifest.release(), default_route_address(),
                                         machine.paths.temp(manifest.name),
                                         machine.paths.secrets(manifest.name)}));
            }};
}

Step make_launcher(Machine& machine, const std::string& link) {
    return {"make-launcher", json{{"link", link}}.dump(), [&machine, link] {
                make_directories(parent_of(link), 0755);
                create_launcher(link, machine.drunner_binary);
            }};
}

Step remember_containers(Machine& machine, const ServiceName& service) {
    return {"remember-containers", json{{"containers", record_containers(machine, service)}}.dump(),
            [] {}};
}

Step run_hook(Machine& machine, const ServiceName& service, Journal& journal, HookStep hook) {
    json parameters{{"hook", static_cast<int>(hook.hook)},
                    {"version", hook.version},
                    {"arguments", hook.arguments},
                    {"operation", hook.operation}};
    return {"run-hook", parameters.dump(), [&machine, &journal, service, hook = std::move(hook)] {
                require_success(call_hook(machine, service, &journal, hook), hook);
            }};
}

Step stop_service(Machine& machine, const ServiceName& service, const std::string& record) {
    return {"stop-service", json{{"containers", json::parse(record)}}.dump(),
            [&machine, service] { stop_containers(machine, service); }};
}

Step pause_service(Machine& machine, const ServiceName& service, const std::string& record) {
    return {"pause-service", json{{"containers", json::parse(record)}}.dump(), [&machine, service] {
                for (const ContainerSummary& container : containers_of(machine, service)) {
                    if (container.state == "running") {
                        machine.engine.pause_container(container.id);
                    }
                }
            }};
}

Step exchange_volume_data(Machine& machine, const std::map<std::string, std::string>& beside) {
    json volumes = json::object();
    VolumeAccess access(machine);
    for (const auto& [volume, directory] : beside) {
        volumes[volume] = {{"beside", directory},
                           {"data", access.directory(volume)},
                           {"inode", inode_of(directory)}};
    }
    json parameters{{"volumes", volumes}};
    return {"exchange-volume-data", parameters.dump(), [volumes] {
                for (const auto& [volume, directories] : volumes.items()) {
                    exchange_files(directories.at("beside"), directories.at("data"));
                }
            }};
}

Step make_path(std::string path, std::function<void()> perform) {
    return {"make-path", json{{"path", path}}.dump(), std::move(perform)};
}

bool run_tolerant_hook(Machine& machine, const ServiceName& service, Journal& journal,
                       const HookStep& hook) {
    if (file_type(machine.paths.servicerunner(service)) != FileType::regular) {
        machine.progress.warning("'" + service.text() +
                                 "' has no servicerunner any more: its hook is not called");
        return true;
    }
    HookResult result;
    try {
        result = call_hook(machine, service, &journal, hook);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        machine.progress.warning(error.what());
        return false;
    }
    if (result.verdict == HookResult::Verdict::failed) {
        machine.progress.warning(failure_of(result, hook_name(hook.hook, hook.version)));
        return false;
    }
    return true;
}

void run_plain_hook(Machine& machine, const ServiceName& service, const HookStep& hook) {
    require_success(call_hook(machine, service, nullptr, hook), hook);
}

namespace {

// True where one of the service's keep containers uses the image.
bool is_kept(Machine& machine, const ServiceName& service, std::string_view image_name) {
    const std::optional<Image> image = machine.engine.find_image(image_name);
    const std::string mine = std::string(label::service) + "=" + service.text();
    const std::vector<ContainerSummary> keeps = machine.engine.list_containers(
        {.labels = {std::string(label::keep), mine}, .name = {}, .volume = {}});
    return image && std::any_of(keeps.begin(), keeps.end(), [&](const ContainerSummary& keep) {
               return keep.image_id == image->id;
           });
}

}  // namespace

void remove_pin(Machine& machine, const ServiceName& service, int release) {
    const std::string tag = pinned_image(service, release);
    try {
        machine.engine.remove_image(tag);
    } catch (const Error& error) {
        // Where a keep container could not be made anew, both are done by recover.
        if (error.kind() != ErrorKind::engine_conflict || is_kept(machine, service, tag)) {
            throw;
        }
        machine.progress.warning("image tag '" + tag +
                                 "' stays, since a container uses its image; drunner doctor tells "
                                 "what removes it when the container is gone");
    }
}

Finish removing_path(const std::string& path) {
    return {"removing-path", json{{"path", path}}.dump()};
}
Finish keeping_data(int release, const std::string& snapshot) {
    return {"keeping-data", json{{"release", release}, {"snapshot", snapshot}}.dump()};
}
Finish removing_data(const std::string& directory) {
    return {"removing-data", json{{"directory", directory}}.dump()};
}
Finish removing_pin(int release) {
    return {"removing-pin", json{{"release", release}}.dump()};
}
Finish settling_keep() {
    return {"settling-keep", "{}"};
}
Finish removing_keep() {
    return {"removing-keep", "{}"};
}
Finish removing_containers() {
    return {"removing-containers", "{}"};
}
Finish removing_networks() {
    return {"removing-networks", "{}"};
}
Finish removing_volumes(const std::vector<std::string>& unlabelled,
                        const std::string& installation) {
    return {"removing-volumes",
            json{{"adopted", unlabelled}, {"installation", installation}}.dump()};
}
Finish removing_launcher(const std::string& link) {
    return {"removing-launcher", json{{"link", link}}.dump()};
}
Finish removing_service_files() {
    return {"removing-service-files", "{}"};
}

}  // namespace drunner
