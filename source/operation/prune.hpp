#pragma once

#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "core/exit_code.hpp"
#include "operation/backup_target.hpp"
#include "operation/machine.hpp"
#include "service/retention.hpp"

namespace drunner {

struct PruneRequest {
    Retention retention;
    OpenKey key;                     // opens encrypted backups
    bool verify_all = false;         // reads every backup to its end, not only the newest
    BackupTarget* target = nullptr;  // of what another program keeps, instead of BACKUPDIR
};

struct PrunedBackup {
    std::string file;
    std::string at;                  // ISO 8601
    std::vector<std::string> rules;  // that keep it; none: it goes
};
struct DamagedBackup {
    std::string file;
    std::string reason;
};
struct PruneResult {
    Outcome outcome = Outcome::unchanged;
    std::vector<PrunedBackup> backups;  // that count, the newest first
    std::vector<DamagedBackup> damaged;
    std::vector<std::string> unknown;  // names of what else is in the directory
};

// Removes backups of the service that no rule keeps from its directory below BACKUPDIR: files that
// `backup` named (UTC.tar.zst, UTC.tar.zst.age). What is damaged neither counts nor goes. Before
// anything goes, the newest that stays is read to its end; an encrypted one without its key counts
// as read where the service's last backup wrote just that file. The service need not be installed
// any more. Of what another program keeps only the newest is read, for each was when it was made.
//
// Throws Error(settings) for a retention without a rule, Error(archive_damaged) where no backup is
// whole, Error(wrong_password) where nobody can tell.
PruneResult prune(Machine& machine, const ServiceName& name, const PruneRequest& request);

}  // namespace drunner
