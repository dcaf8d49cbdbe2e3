#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// Finds the directory of a volume's data on this machine, where there is one.
class VolumeAccess {
  public:
    explicit VolumeAccess(Machine& machine) : machine_(machine) {}

    // Why the volume's mount point cannot be trusted, and its data comes and goes through the
    // engine (streamed_volumes.hpp): the driver is not local, the volume has options (bind and NFS
    // volumes are empty here while idle), the engine maps users, or a volume made through the
    // engine does not appear on this machine (--check makes none, and takes the mount point for
    // what it seems). Empty where it can. What holds for all volumes is asked once in the life of
    // the machine.
    std::string why_streamed(const Volume& volume);

    // The volume's mount point. Throws Error(system), saying why, where it cannot be trusted.
    std::string directory(const Volume& volume);
    // The same by name; Error(volume_missing) where the engine lacks it.
    std::string directory(const std::string& name);

  private:
    std::string why_elsewhere(const Volume& volume);

    Machine& machine_;
};

struct VolumePlan {
    std::vector<ManagedVolume> all;  // in the order of the paths
    std::vector<ManagedVolume> to_make;
};

// Decides for each path whether its volume exists, is adopted or has to be made; says so where one
// is reused. `known` are the volumes that the manifest records: one of those that the engine lacks
// throws Error(volume_missing), unless `remake_missing`. Error(volume_foreign) for a volume of
// another service or installation.
VolumePlan plan_volumes(Machine& machine, const ServiceName& service,
                        const std::string& installation, const std::vector<std::string>& paths,
                        const std::vector<ManagedVolume>& known, bool remake_missing);

// A directory beside a volume's data directory, on its file system: gone with the volume, and
// unlike anything that the engine or another operation uses.
std::string staging_directory(const std::string& data, std::string_view operation);

// The id of this installation; made where there is none yet, but with --check: then it is empty.
std::string installation_id(const Machine& machine);

}  // namespace drunner
