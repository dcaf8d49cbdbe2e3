#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_file.hpp"
#include "operation/machine.hpp"
#include "operation/step_table.hpp"
#include "operation/transaction.hpp"
#include "operation/volumes.hpp"

namespace drunner {

// Volumes whose data this machine cannot reach (VolumeAccess::why_streamed says why): they are read
// and written through the engine's archive endpoint, and what the endpoint cannot do is done by a
// small program of drunner's in a container. All containers are made of an image that the engine
// has, are labelled as scratch of their operation, and run nothing of the image.

// A container that is never started, with the volumes at places of their own; goes with this
// object. Creating it throws Error(volume_missing) where one is not there: the engine would make
// it.
class MountedVolumes {
  public:
    MountedVolumes(Machine& machine, const std::string& image, std::string_view operation,
                   const std::vector<std::string>& volumes);
    ~MountedVolumes();
    MountedVolumes(const MountedVolumes&) = delete;
    MountedVolumes& operator=(const MountedVolumes&) = delete;

    // Good as long as this object.
    VolumeStream stream(const std::string& volume) const;

  private:
    Engine& engine_;
    std::vector<std::string> volumes_;
    std::string name_;
};

// The program of source/volume_mover.cpp, linked statically for this machine's architecture.
Bytes volume_mover_program();

// Removes what an operation that died left of its containers.
void remove_scratch_of(Engine& engine, std::string_view operation);

// Makes a MountedVolumes; undone by its removal.
Step mount_volumes(Machine& machine, const std::string& image, std::string_view operation,
                   const std::vector<std::string>& volumes,
                   std::unique_ptr<MountedVolumes>& mounted);
void undo_mount_volumes(const UndoContext& context, const nlohmann::json& parameters);

// Moves what is in the volumes into a directory in each of them, so that they are empty but for it;
// undone by moving it back in place of all that came since. After the commit, dropping_set_aside.
Step set_volumes_aside(Machine& machine, const std::string& image, const std::string& operation,
                       const std::vector<std::string>& volumes);
void undo_set_volumes_aside(const UndoContext& context, const nlohmann::json& parameters);
Finish dropping_set_aside(const std::string& image, const std::string& operation,
                          const std::vector<std::string>& volumes);
void finish_dropping_set_aside(Machine& machine, const ServiceName& service,
                               const nlohmann::json& parameters);

// Removes everything in the volumes.
void clear_volumes(Machine& machine, const std::string& image, std::string_view operation,
                   const std::vector<std::string>& volumes);

// What is lost, once for each operation and direction, with the names of the volumes and why.
void tell_streamed_reading(Machine& machine, const std::vector<std::string>& volumes);
void tell_streamed_writing(Machine& machine, const std::vector<std::string>& volumes);

}  // namespace drunner
