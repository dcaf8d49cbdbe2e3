#pragma once

#include <functional>
#include <string>
#include <vector>

#include "operation/operations.hpp"
#include "operation/transaction.hpp"
#include "operation/volumes.hpp"

namespace drunner {

class TargetUpload;

// What a backup is made of, for every operation that makes one.
struct BackupPlan {
    std::string verb;               // DRUNNER_OPERATION of the hooks
    BackupHeader header;            // without the volumes
    std::string scripts_directory;  // empty: there are none
    int hook_version = 0;           // of backupstart and backupend; 0: they are not called
    // Called when backupstart has returned, which may write into volumes.
    std::function<std::vector<BackupVolume>()> find_volumes;
};

// A volume as it stands in a backup: with the directory where its data lies, or as one to be
// streamed.
BackupVolume backup_volume(VolumeAccess& access, const Volume& volume, const std::string& path);

// The header of a backup of the service as it stands, without its volumes.
BackupHeader header_of(const Machine& machine, const Manifest& manifest);

// The steps of a backup to `upload`, request.output or report.file: backupstart, the file,
// backupend. To be performed after remember_containers. Throws Error(script_failed) where a hook
// fails.
void perform_backup(Machine& machine, Transaction& transaction, const ServiceName& name,
                    const BackupPlan& plan, const BackupRequest& request, BackupReport& report,
                    TargetUpload* upload = nullptr);

// Says which files are missing in the backup or changed while they were read.
void tell_left_out(Machine& machine, const BackupResult& result);

// Bytes that are free where the directory stands or, with its parents, would be made.
unsigned long long room_in(std::string directory);

}  // namespace drunner
