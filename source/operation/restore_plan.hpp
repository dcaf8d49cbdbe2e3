#pragma once

#include <map>
#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "operation/image_choice.hpp"
#include "operation/machine.hpp"
#include "operation/operations.hpp"
#include "operation/transaction.hpp"
#include "service/manifest.hpp"
#include "service/secrets.hpp"

namespace drunner {

// What a restore to a new service and one over an existing service share.

struct RestoreImage {
    ImageReference reference;
    ImageChoice choice;
};
// The image by id where the engine has it, else the one embedded in the backup, else by digest from
// the registry, else what the reference names now; says which. --image decides over all. With
// --check an embedded image stays in the backup and is undescribed. For a backup of the old tool it
// is what the reference names now.
RestoreImage image_for(Machine& machine, BackupReader& reader, const RestoreRequest& request);

// The volumes to fill: archive path -> volume name. A path that only one side has is
// Error(archive_refused), unless the operator said partial. Volumes of the old tool have no paths
// and go by their position; another number of them, and one that it left out, are such errors.
std::map<std::string, std::string> match_volumes(Machine& machine, const BackupHeader& header,
                                                 const Manifest& manifest, bool partial);

// Everything of the backup, written beside what it is to replace.
struct FilledBeside {
    std::map<std::string, std::string> volumes;  // volume name -> directory beside its data
    std::vector<std::string> streamed;           // volumes that have none, and hold the new data
    std::string hook_directory;
    RestoreResult result;
};
// Reads the backup to its end, so that every byte is checked when it returns. All directories go
// after the commit, with what the exchange has put into them. What can only be streamed is filled
// in place, by containers of `image`, its old data beside the new until the commit. Says before how
// large the backup is, where that is known, and what is free.
FilledBeside fill_beside(Machine& machine, Transaction& transaction, BackupReader& reader,
                         const ServiceName& name, const std::string& image,
                         const std::map<std::string, std::string>& matched);

// The secrets that a backup brings, or that stand beside a final backup. Throws
// Error(archive_refused) for what no service can have.
Secrets secrets_for(const BackupHeader& header, const std::string& consumed_file);
// Notes in the manifest that the service has these, and those that the backup had to leave out.
void adopt_secrets(Manifest& manifest, const BackupHeader& header, const Secrets& secrets);
// Those that the restored service needs and does not have, which is told.
std::vector<std::string> tell_missing_secrets(Machine& machine, const Manifest& manifest);

// A service that does not exist yet, from a backup. The caller holds the lock of `name`.
RestoreReport restore_new(Machine& machine, BackupReader& reader, const ServiceName& name,
                          const RestoreRequest& request);

// What a restore does with --check instead of beginning: reads the backup to its end, so that every
// byte is checked.
RestoreReport rehearse_restore(Machine& machine, BackupReader& reader, Manifest manifest);

// The same as scratch copy for a drill of the service `drill_of`: without a launcher.
RestoreReport restore_for_drill(Machine& machine, BackupReader& reader, const ServiceName& name,
                                const ServiceName& drill_of);

// The data of an installed service out of a backup. Its image stays, unless the request names one;
// a new image, or other settings in the backup, make a new release, as an update does. The old data
// lies beside the new until the commit. The caller holds the lock of the service.
RestoreReport restore_over(Machine& machine, BackupReader& reader, const Manifest& installed,
                           const RestoreRequest& request);

}  // namespace drunner
