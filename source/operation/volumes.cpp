#include "operation/volumes.hpp"

#include <algorithm>
#include <mutex>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

std::string label_of(const Volume& volume, const char* key) {
    const auto found = volume.labels.find(key);
    return found == volume.labels.end() ? std::string() : found->second;
}

// A volume to look for on this machine; removed however the proof ends, also where the engine's
// answer to its creation was lost.
class Probe {
  public:
    explicit Probe(Engine& engine) : engine_(engine), name_("drunner-probe-" + random_id()) {
        try {
            mountpoint_ = engine.create_volume(name_, {{label::scratch, "probe"}}).mountpoint;
        } catch (...) {
            remove();
            throw;
        }
    }
    ~Probe() { remove(); }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    bool appears_here() const { return file_type(mountpoint_) == FileType::directory; }

  private:
    // Labelled as scratch: `drunner clean` removes what an engine that is away keeps.
    void remove() {
        const CancellationShield shield;
        for (int attempt = 0; attempt < 2; ++attempt) {
            try {
                engine_.remove_volume(name_);
                return;
            } catch (const Error&) {
                continue;
            }
        }
    }

    Engine& engine_;
    std::string name_;
    std::string mountpoint_;
};

}  // namespace

std::string VolumeAccess::why_streamed(const Volume& volume) {
    if (volume.driver != "local") {
        return "its driver is '" + printable(volume.driver) + "', not 'local'";
    }
    if (!volume.options.empty()) {
        return "it is mounted with options";
    }
    return why_elsewhere(volume);
}

std::string VolumeAccess::directory(const Volume& volume) {
    const std::string what = "cannot reach the data of volume '" + printable(volume.name) + "': ";
    if (const std::string why = why_streamed(volume); !why.empty()) {
        throw Error(ErrorKind::system, what + why);
    }
    if (file_type(volume.mountpoint) != FileType::directory) {
        throw Error(ErrorKind::system, what + "'" + volume.mountpoint + "' is no directory");
    }
    return volume.mountpoint;
}

std::string VolumeAccess::directory(const std::string& name) {
    const std::optional<Volume> volume = machine_.engine.find_volume(name);
    if (!volume) {
        throw Error(ErrorKind::volume_missing, "volume '" + name + "' is missing");
    }
    return directory(*volume);
}

std::string VolumeAccess::why_elsewhere(const Volume& volume) {
    constexpr const char* not_here = "the engine's volumes are not on this machine";
    static std::mutex asking;  // of operations side by side
    const std::lock_guard lock(asking);
    if (!machine_.volumes_elsewhere) {
        if (machine_.engine.info().user_namespaces) {
            machine_.volumes_elsewhere = "the engine maps users (userns-remap)";
        } else if (machine_.check) {
            return file_type(volume.mountpoint) == FileType::directory ? "" : not_here;
        } else {
            machine_.volumes_elsewhere = Probe(machine_.engine).appears_here() ? "" : not_here;
        }
    }
    return *machine_.volumes_elsewhere;
}

VolumePlan plan_volumes(Machine& machine, const ServiceName& service,
                        const std::string& installation, const std::vector<std::string>& paths,
                        const std::vector<ManagedVolume>& known, bool remake_missing) {
    VolumePlan plan;
    for (const std::string& path : paths) {
        ManagedVolume managed{path, volume_name(service, path), false};
        const auto recorded = std::find_if(
            known.begin(), known.end(), [&](const ManagedVolume& one) { return one.path == path; });
        const std::optional<Volume> existing = machine.engine.find_volume(managed.name);
        if (!existing) {
            if (recorded != known.end() && !remake_missing) {
                throw Error(ErrorKind::volume_missing,
                            "volume '" + managed.name + "' of '" + service.text() +
                                "' is missing; its data is not here",
                            "drunner recover " + service.text() + " --empty");
            }
            plan.to_make.push_back(managed);
        } else if (recorded != known.end()) {
            managed.adopted = recorded->adopted;
        } else {
            const std::string owner = label_of(*existing, label::service);
            const std::string made_by = label_of(*existing, label::installation);
            if (!owner.empty() && (owner != service.text() || made_by != installation)) {
                throw Error(
                    ErrorKind::volume_foreign,
                    "volume '" + managed.name + "' belongs to " +
                        (owner != service.text() ? "service '" + printable(owner) + "'"
                                                 : std::string("another drunner installation")),
                    "drunner install IMAGE OTHERNAME");
            }
            managed.adopted = owner.empty();
            machine.progress.note("volume '" + managed.name + "' exists and is used as it is");
        }
        plan.all.push_back(managed);
    }
    return plan;
}

std::string staging_directory(const std::string& data, std::string_view operation) {
    return parent_of(data) + "/drunner-" + std::string(operation);
}

std::string installation_id(const Machine& machine) {
    const std::string path = machine.paths.installation_id();
    if (!exists(path)) {
        if (machine.check) {
            return "";
        }
        make_directories(machine.paths.state());
        try {
            create_file(path, random_id());
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::file_exists) {
                throw;
            }
        }
    }
    return std::string(trim(read_file(path)));
}

}  // namespace drunner
