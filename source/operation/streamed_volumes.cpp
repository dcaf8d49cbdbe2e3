#include "operation/streamed_volumes.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "backup/tar.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/service_containers.hpp"
#include "service/manifest.hpp"

// The program of source/volume_mover.cpp, linked statically, as the linker names the file that the
// build has put into this one.
extern "C" {
extern const std::byte _binary_volume_mover_start[];
extern const std::byte _binary_volume_mover_end[];
}

namespace drunner {
namespace {

using nlohmann::json;

// Nothing of an image or a service stands here. Each volume has a place beside the others: those of
// a service may lie in one another.
constexpr std::string_view mount_root = "/drunner-volumes";
constexpr std::string_view mover_file = "drunner-volume-mover";
// Removing a large tree takes its time.
constexpr std::chrono::hours mover_limit{6};
constexpr unsigned quoted_log_lines = 20;

std::string place_of(std::size_t index) {
    return std::string(mount_root) + "/" + std::to_string(index);
}

std::string aside_name(std::string_view operation) {
    return ".drunner-" + std::string(operation);
}

Labels scratch_labels(std::string_view operation) {
    return {{label::scratch, "volumes"}, {label::operation, std::string(operation)}};
}

// Also where the engine's answer to its creation was lost.
void remove_for_good(Engine& engine, const std::string& container) {
    const CancellationShield shield;
    for (int attempt = 0; attempt < 2; ++attempt) {
        try {
            engine.remove_container(container);
            return;
        } catch (const Error&) {
            continue;  // labelled as scratch: `drunner clean` removes what an engine keeps
        }
    }
}

// A container goes when this does.
class Removal {
  public:
    Removal(Engine& engine, std::string container)
        : engine_(engine), container_(std::move(container)) {}
    ~Removal() { remove_for_good(engine_, container_); }
    Removal(const Removal&) = delete;
    Removal& operator=(const Removal&) = delete;

  private:
    Engine& engine_;
    std::string container_;
};

void require_volumes(Engine& engine, const std::vector<std::string>& volumes) {
    for (const std::string& volume : volumes) {
        if (!engine.find_volume(volume)) {
            throw Error(ErrorKind::volume_missing, "volume '" + printable(volume) + "' is missing");
        }
    }
}

// Those that are there: undo may have removed some already.
std::vector<std::string> present(Engine& engine, const std::vector<std::string>& volumes) {
    std::vector<std::string> found;
    std::copy_if(volumes.begin(), volumes.end(), std::back_inserter(found),
                 [&](const std::string& volume) { return engine.find_volume(volume).has_value(); });
    return found;
}

void require_own_architecture(Machine& machine) {
    utsname here{};
    uname(&here);
    const std::string there = machine.engine.info().architecture;
    if (!there.empty() && there != here.machine) {
        throw Error(ErrorKind::system,
                    "the container engine's machine is '" + printable(there) +
                        "', and drunner's program that moves data within its volumes is for '" +
                        here.machine + "'");
    }
}

json body_of(const std::string& image, std::string_view operation, const std::string& verb,
             const std::vector<std::string>& volumes) {
    json arguments{"/" + std::string(mover_file), verb, aside_name(operation)};
    json mounts = json::array();
    for (std::size_t i = 0; i < volumes.size(); ++i) {
        arguments.push_back(place_of(i));
        mounts.push_back({{"Type", "volume"},
                          {"Source", volumes[i]},
                          {"Target", place_of(i)},
                          {"VolumeOptions", {{"NoCopy", true}}}});
    }
    return {{"Image", image},
            {"Entrypoint", std::move(arguments)},
            {"User", "0:0"},
            {"WorkingDir", "/"},
            {"Healthcheck", {{"Test", {"NONE"}}}},
            {"Labels", scratch_labels(operation)},
            // The daemon's default log driver may be one that cannot be read back.
            {"HostConfig",
             {{"Mounts", std::move(mounts)},
              {"NetworkMode", "none"},
              {"LogConfig", {{"Type", "json-file"}, {"Config", json::object()}}}}}};
}

void send_mover(Engine& engine, const std::string& container) {
    TarEntry entry;
    entry.path = mover_file;
    entry.mode = 0755;
    const Bytes program = volume_mover_program();
    entry.size = program.size();
    std::string tar = encode_tar_header(entry);
    tar += as_text(program);
    tar.append(tar_padding(program.size()), '\0');
    tar += tar_ending();
    std::size_t sent = 0;
    engine.write_archive(container, "/", [&](std::span<std::byte> buffer) {
        const std::size_t count = std::min(buffer.size(), tar.size() - sent);
        std::copy_n(as_bytes(tar).begin() + static_cast<std::ptrdiff_t>(sent), count,
                    buffer.begin());
        sent += count;
        return count;
    });
}

// Runs volume_mover.cpp on the volumes.
void run_mover(Machine& machine, const std::string& verb, const std::string& image,
               std::string_view operation, const std::vector<std::string>& volumes) {
    if (volumes.empty()) {
        return;
    }
    require_own_architecture(machine);
    Engine& engine = machine.engine;
    const std::string name = "drunner-mover-" + random_id();
    const Removal removal(engine, name);
    engine.create_container_from(name, body_of(image, operation, verb, volumes).dump());
    send_mover(engine, name);
    engine.start_container(name);
    const int status = engine.wait_container(name, mover_limit);
    if (status != 0) {
        std::string log;
        engine.read_logs(
            name, quoted_log_lines, [&](Bytes bytes) { log += as_text(bytes); },
            [&](Bytes bytes) { log += as_text(bytes); });
        throw Error(ErrorKind::system, "cannot move data within the volumes (" +
                                           join(volumes, ", ") + "): status " +
                                           std::to_string(status) + ": " + printable(trim(log)));
    }
}

std::string reasons(Machine& machine, const std::vector<std::string>& volumes) {
    VolumeAccess access(machine);
    std::set<std::string> why;
    std::vector<std::string> names;
    for (const std::string& volume : volumes) {
        names.push_back("'" + printable(volume) + "'");
        if (const auto found = machine.engine.find_volume(volume)) {
            why.insert(access.why_streamed(*found));
        }
    }
    return join(names, ", ") + " through the container engine (" +
           join(std::vector<std::string>(why.begin(), why.end()), "; ") + ")";
}

void tell_fleeting(Machine& machine, const std::vector<std::string>& volumes) {
    for (const std::string& volume : volumes) {
        const std::optional<Volume> found = machine.engine.find_volume(volume);
        if (found && found->options.contains("type") && found->options.at("type") == "tmpfs") {
            machine.progress.warning("'" + printable(volume) +
                                     "' is a tmpfs: its data is gone with the last container that "
                                     "runs on it");
        }
    }
}

}  // namespace

MountedVolumes::MountedVolumes(Machine& machine, const std::string& image,
                               std::string_view operation, const std::vector<std::string>& volumes)
    : engine_(machine.engine), volumes_(volumes), name_("drunner-volumes-" + random_id()) {
    require_volumes(engine_, volumes_);
    ContainerSpec spec;
    spec.name = name_;
    spec.image = image;
    spec.command = {"true"};
    spec.labels = scratch_labels(operation);
    for (std::size_t i = 0; i < volumes_.size(); ++i) {
        spec.mounts.push_back({volumes_[i], place_of(i), false});
    }
    try {
        engine_.create_container(spec);
    } catch (...) {
        remove_for_good(engine_, name_);
        throw;
    }
}

MountedVolumes::~MountedVolumes() {
    remove_for_good(engine_, name_);
}

VolumeStream MountedVolumes::stream(const std::string& volume) const {
    const auto found = std::find(volumes_.begin(), volumes_.end(), volume);
    const std::string place = place_of(static_cast<std::size_t>(found - volumes_.begin()));
    // Asked for its own path and written below its parent: so the volume's root keeps its owner
    // and mode.
    return {base_name(place),
            [&engine = engine_, name = name_, place](const ByteSink& sink) {
                engine.read_archive(name, place, sink);
            },
            [&engine = engine_, name = name_](const ByteSource& source) {
                engine.write_archive(name, mount_root, source);
            }};
}

Bytes volume_mover_program() {
    return {_binary_volume_mover_start, _binary_volume_mover_end};
}

void remove_scratch_of(Engine& engine, std::string_view operation) {
    const std::string mine = std::string(label::operation) + "=" + std::string(operation);
    for (const ContainerSummary& container :
         engine.list_containers({.labels = {label::scratch, mine}, .name = {}, .volume = {}})) {
        engine.remove_container(container.id);
    }
}

Step mount_volumes(Machine& machine, const std::string& image, std::string_view operation,
                   const std::vector<std::string>& volumes,
                   std::unique_ptr<MountedVolumes>& mounted) {
    return {"mount-volumes", "{}",
            [&machine, &mounted, image, volumes, operation = std::string(operation)] {
                mounted = std::make_unique<MountedVolumes>(machine, image, operation, volumes);
            }};
}

void undo_mount_volumes(const UndoContext& context, const json&) {
    remove_scratch_of(context.machine.engine, context.operation);
}

Step set_volumes_aside(Machine& machine, const std::string& image, const std::string& operation,
                       const std::vector<std::string>& volumes) {
    return {"set-volumes-aside", json{{"image", image}, {"volumes", volumes}}.dump(),
            [&machine, image, operation, volumes] {
                require_volumes(machine.engine, volumes);
                run_mover(machine, "aside", image, operation, volumes);
            }};
}

void undo_set_volumes_aside(const UndoContext& context, const json& parameters) {
    Engine& engine = context.machine.engine;
    remove_scratch_of(engine, context.operation);
    stop_containers(context.machine, context.service);
    run_mover(context.machine, "back", parameters.at("image"), context.operation,
              present(engine, parameters.at("volumes")));
    // Its own container too, which an engine that went away meanwhile keeps: it is in the way of
    // the volumes' removal.
    remove_scratch_of(engine, context.operation);
}

Finish dropping_set_aside(const std::string& image, const std::string& operation,
                          const std::vector<std::string>& volumes) {
    return {"dropping-set-aside",
            json{{"image", image}, {"operation", operation}, {"volumes", volumes}}.dump()};
}

void finish_dropping_set_aside(Machine& machine, const ServiceName&, const json& parameters) {
    const std::string operation = parameters.at("operation");
    remove_scratch_of(machine.engine, operation);
    run_mover(machine, "drop", parameters.at("image"), operation,
              present(machine.engine, parameters.at("volumes")));
    remove_scratch_of(machine.engine, operation);
}

void clear_volumes(Machine& machine, const std::string& image, std::string_view operation,
                   const std::vector<std::string>& volumes) {
    require_volumes(machine.engine, volumes);
    run_mover(machine, "clear", image, operation, volumes);
}

void tell_streamed_reading(Machine& machine, const std::vector<std::string>& volumes) {
    tell_fleeting(machine, volumes);
    if (!volumes.empty()) {
        machine.progress.warning(
            "read " + reasons(machine, volumes) +
            ", which leaves out: extended attributes and ACLs, but for file capabilities; holes of "
            "sparse files; fractions of seconds of times; sockets, and files that change "
            "meanwhile");
    }
}

void tell_streamed_writing(Machine& machine, const std::vector<std::string>& volumes) {
    tell_fleeting(machine, volumes);
    if (!volumes.empty()) {
        machine.progress.warning(
            "written " + reasons(machine, volumes) +
            ", which leaves out: holes of sparse files; set-id bits and capabilities of files with "
            "several names");
    }
}

}  // namespace drunner
