#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "operation/machine.hpp"
#include "operation/step_table.hpp"
#include "operation/transaction.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The data of a service's volumes as it was, to be put back: where an update or a rollback is
// undone, and by `rollback --data`. Of each volume there is a clone beside its data, on its file
// system, or it is a member of an archive.
//
// A snapshot is a directory of mode 0700: services/S/snapshot-ID while the operation runs,
// services/S/releases/N/data once it is kept as the data that release N was left with:
//   data.json      what there is: {"volumes":[{"path","name","directory"}],"left_out":{NAME:WHY},
//                  "archived_bytes":N}; `directory` is empty for a volume in the archive. Written
//                  last: without it there is no snapshot.
//   data.tar.zst   the archive (backup/FORMAT.md), where a volume needs one

struct KeptVolume {
    std::string path;       // in the container
    std::string name;       // of the volume
    std::string directory;  // beside its data; empty: in the archive
    ino_t inode = 0;        // of that directory; 0 in data that is kept
};
struct KeptData {
    std::vector<KeptVolume> volumes;
    std::map<std::string, std::string> left_out;  // volume's name -> why it could not be kept
    std::uint64_t archived_bytes = 0;             // of content, before compression
};

// Empty where there is none (or one that was never completed).
std::optional<KeptData> read_kept_data(const std::string& directory);
std::string archive_of(const std::string& directory);
// Completes a snapshot.
void write_kept_data(const std::string& directory, const KeptData& data);
// Removes it, and what it names beside the volumes; nothing where it is absent.
void remove_kept_data(const std::string& directory);
// Moves a snapshot to the place of a release's kept data, in place of what stands there.
// Idempotent.
void keep_data(const Paths& paths, const ServiceName& service, int release,
               const std::string& snapshot);

// What a snapshot will take and how, decided before anything is changed.
struct SnapshotPlan {
    struct Entry {
        std::string path;
        std::string name;
        std::string data;  // where its data lies; empty: it is streamed
        bool clone = false;
    };
    std::string image;  // of the containers that stream
    std::vector<Entry> volumes;
    std::map<std::string, std::string> left_out;  // volume's name -> why
    std::uint64_t archived_bytes = 0;
};

// Warns of every volume whose data cannot be put back, and why. Throws Error(no_space) where the
// copy that has to be made has no room; it names the bytes. `kept_bytes` is what copies that stay
// hold already: it counts against the limit. What can only be streamed is read by containers of
// `image`, once to learn its size (not with --check, which takes it for none).
SnapshotPlan plan_snapshot(Machine& machine, const std::vector<ManagedVolume>& volumes,
                           const std::string& image, std::uint64_t kept_bytes = 0);

// Takes the snapshot into Paths::snapshot of the operation, while what runs of the service is
// paused; undone by putting the data back. What becomes of it after the commit is the caller's:
// keeping_data or removing_data.
Step snapshot_volumes(Machine& machine, const ServiceName& service, const SnapshotPlan& plan,
                      const std::string& operation);
// Performs the step where there is something to take or to tell. After the commit the snapshot is
// kept as what `release` was left with; with 0 it goes.
void protect_data(Machine& machine, Transaction& transaction, const ServiceName& service,
                  const SnapshotPlan& plan, int release);
void undo_snapshot_volumes(const UndoContext& context, const nlohmann::json& parameters);

// Performs the steps that put back the data that `release` was left with, with the service's
// containers stopped meanwhile; what is there now is gone after the commit, and so is the kept
// data.
void put_data_back(Machine& machine, Transaction& transaction, const ServiceName& service,
                   const Release& release);

ino_t inode_of(const std::string& path);

}  // namespace drunner
