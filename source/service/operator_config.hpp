#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/paths.hpp"
#include "service/retention.hpp"

namespace drunner {

enum class PullPolicy { automatic, always, missing, never };

// The word in PULL= and --pull: auto always missing never; empty optional for any other.
std::optional<PullPolicy> parse_pull_policy(std::string_view word);
std::string_view pull_policy_word(PullPolicy policy);

// How the data of a service is kept before an update: clones where the file system can, else a
// compressed copy; only the one or the other; not at all.
enum class SnapshotPolicy { automatic, reflink, copy, off };

// What happens to a stranger's scripts before they may run as root: nothing, their difference is
// shown, or they are refused unless somebody accepted them.
enum class Review { off, show, pin };

// /etc/drunner/config.sh: KEY=VALUE, read as data, never executed.
struct OperatorConfig {
    PullPolicy pull = PullPolicy::automatic;
    std::string backup_directory;                      // BACKUPDIR
    std::string launcher_directory;                    // LAUNCHERDIR
    std::vector<std::string> hook_env;                 // HOOKENV
    std::vector<std::string> recipients;               // RECIPIENTS
    std::optional<std::chrono::seconds> hook_timeout;  // HOOKTIMEOUT, 0 = none
    // ENGINETIMEOUT: how long the engine may keep silent over any request.
    std::optional<std::chrono::seconds> engine_timeout;
    std::chrono::hours undelete_age{31 * 24};  // UNDELETEDAYS, 0 = keep nothing
    std::chrono::seconds backup_max_age{0};    // BACKUPMAXAGE, 0 = any age
    Retention retention;                       // RETENTION: what `prune` keeps
    // AFTER_BACKUP: for sh, behind every backup to a file; SERVICENAME and BACKUP_FILE are set.
    std::string after_backup;
    // TARGETENV: NAME=VALUE for the programs that keep backups elsewhere.
    std::vector<std::string> target_env;
    // ON_FAILURE: for sh, where a scheduled job failed; see operation/schedule.hpp.
    std::string on_failure;
    Review review = Review::off;  // REVIEW
    SnapshotPolicy snapshot = SnapshotPolicy::automatic;
    std::uint64_t snapshot_limit = 2ULL << 30U;  // SNAPSHOTLIMIT: most bytes of data to copy
    std::chrono::seconds health_uptime{10};      // HEALTHUPTIME, 0 = none
};

// The defaults where the file is absent. Throws Error(settings) naming file and line for a
// malformed line or an invalid value; unknown keys are ignored, so that an older drunner can read a
// newer file.
OperatorConfig load_operator_config(const Paths& paths);

}  // namespace drunner
