#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_file.hpp"
#include "check/rules.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/exit_code.hpp"
#include "core/image_reference.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The verbs. Each that changes something takes the service's lock, recovers what is unfinished, and
// is one transaction: when it throws, the machine is as before. In the Machine of a Rehearsal
// (--check) it answers as it would after all of that had succeeded, and what only the work itself
// tells (sizes, names of volumes of an image that is not here) is empty.

struct InstallRequest {
    ImageReference image;
    std::optional<ServiceName> name;                   // default: the last part of the reference
    std::optional<PullPolicy> pull;                    // kept for this service
    std::map<std::string, std::string> settings = {};  // checked against what the image declares
};
struct InstallResult {
    Outcome outcome = Outcome::changed;
    Manifest manifest;
};
InstallResult install(Machine& machine, const InstallRequest& request);

struct UpdateRequest {
    std::optional<ImageReference> image;  // another reference from now on
    std::optional<PullPolicy> pull;       // kept for this service
    bool spare_failed = false;            // leave alone an image whose update was rolled back
};
struct UpdateResult {
    Outcome outcome = Outcome::changed;
    Manifest manifest;
    std::vector<std::string> changes;  // what differs, in words
    std::string spared;                // the image that was left alone; empty: none
};
UpdateResult update(Machine& machine, const ServiceName& name, const UpdateRequest& request);

enum class UpdateVerdict { updated, unchanged, held, failed_before, failed };
struct ServiceUpdate {
    ServiceName name;
    UpdateVerdict verdict = UpdateVerdict::unchanged;
    std::vector<std::string> changes;
    std::string reason;          // of the three last verdicts
    std::optional<Error> error;  // of `failed`
};
// Unattended, services on hold and those whose new image failed before are left alone.
enum class Attendance { attended, unattended };
// Several services, each once, `jobs` of them at a time, in this order as far as their AFTER lets
// (side_by_side.hpp); one that fails does not stop the others. Throws Error(interrupted) only.
std::vector<ServiceUpdate> update_each(Machine& machine, const std::vector<ServiceName>& names,
                                       Attendance attendance, unsigned jobs = 1);
// All services of this installation, unattended.
std::vector<ServiceUpdate> update_all(Machine& machine, unsigned jobs = 1);

// Puts the service on hold, or lets it go again. A hold without end that stands already, and the
// release of a service that is not held, are no change.
struct HoldResult {
    Outcome outcome = Outcome::changed;
    std::optional<Hold> hold;
};
HoldResult hold(Machine& machine, const ServiceName& name,
                const std::optional<std::chrono::seconds>& length);
HoldResult release_hold(Machine& machine, const ServiceName& name);
// The hold that stands at this moment; empty where there is none or its time is over.
std::optional<Hold> current_hold(Machine& machine, const Manifest& manifest);
// "since T until T", "since T".
std::string hold_words(const Hold& hold);
// ISO 8601, empty for a hold without end.
std::string hold_end(const Hold& hold);

struct RollbackRequest {
    bool data = false;  // with the data that the release was left with
};
struct RollbackResult {
    Outcome outcome = Outcome::changed;  // unchanged: there is no release to go back to
    Manifest manifest;
    std::vector<std::string> changes;  // what differs, in words
};
// Back to the release before the last update, in a transaction of the update's shape. The two
// releases change places, so a second rollback goes forward again. Error(archive_refused), before
// anything is changed, where the data is not kept.
RollbackResult rollback(Machine& machine, const ServiceName& name, const RollbackRequest& request);

struct RemovalResult {
    Outcome outcome = Outcome::changed;
    std::vector<std::string> volumes;  // kept by uninstall, removed by obliterate
    std::string final_backup;          // what undelete brings back; empty: none was made
};
RemovalResult uninstall(Machine& machine, const ServiceName& name);
struct ObliterateRequest {
    bool purge = false;  // no final backup
};
// Keeps a final backup for UNDELETEDAYS; where that cannot be made, fails before anything changes.
// Throws Error(script_failed) after everything is removed where the hook failed.
RemovalResult obliterate(Machine& machine, const ServiceName& name,
                         const ObliterateRequest& request = {});

struct RecoverRequest {
    std::optional<ImageReference> image;
    bool empty = false;      // make missing volumes anew, empty
    bool move_host = false;  // bind the service to the engine in use
};
Outcome recover(Machine& machine, const ServiceName& name, const RecoverRequest& request);

// Finishes or undoes what interrupted operations left, on every service, and removes the scratch
// services of interrupted drills; nothing else. One that fails does not stop the others.
struct RecoverAllResult {
    std::vector<std::string> recovered;  // names
    std::vector<std::string> failures;   // "NAME: what went wrong"
};
RecoverAllResult recover_all(Machine& machine);

// What happens to the service's running containers while its volumes are read, beyond what
// backupstart does.
enum class WhileReading { runs, paused, stopped };

class BackupTarget;

struct BackupRequest {
    std::string file;  // empty: a new one below the backup directory
    int output = -1;   // a descriptor to write to instead (file is "-")
    BackupKey key;
    int level = 3;
    WhileReading containers = WhileReading::runs;
    std::vector<std::string> excludes = {};  // patterns, beside those of BACKUP_EXCLUDE
    bool with_image = false;                 // so that a restore needs no registry
    unsigned workers = 0;                    // threads that compress; 0: one per core
    bool want_sha256 = false;                // as in BackupJob; a target always does
    BackupTarget* target = nullptr;          // where another program keeps it, not a file
};
struct BackupReport {
    std::string file;
    std::vector<std::string> excludes;          // the patterns in use
    std::vector<std::string> secrets_left_out;  // names
    std::vector<std::string> streamed = {};     // volumes that were read through the engine
    BackupResult result;
};
BackupReport backup(Machine& machine, const ServiceName& name, const BackupRequest& request);

struct ServiceBackup {
    ServiceName name;
    std::optional<BackupReport> report;
    std::optional<Error> error;  // where there is no report
};
// Every service of this installation, each to a new file of its own in BACKUPDIR, `jobs` of them at
// a time, each behind those of its AFTER; one that fails does not stop the others. Throws
// Error(interrupted) only.
std::vector<ServiceBackup> backup_all(Machine& machine, const BackupRequest& request,
                                      unsigned jobs = 1);

struct RestoreRequest {
    int input = -1;  // the archive; the caller's descriptor
    OpenKey key;
    std::optional<ServiceName> name;      // default: the name in the archive
    std::optional<ImageReference> image;  // default: what the archive names
    bool partial = false;                 // paths that only one side has are left out
    // A final backup, which goes after the commit; empty: nothing does. The secrets that it does
    // not hold stand beside it.
    std::string consumed_file;
    bool replace = false;  // over the data of a service or volumes that exist
};
struct RestoreReport {
    Manifest manifest;
    std::vector<std::string> missing_secrets;  // that the service needs and the backup lacks
    RestoreResult result;
    std::vector<std::string> streamed = {};  // volumes that were written through the engine
};
RestoreReport restore(Machine& machine, const RestoreRequest& request);

struct ServiceRestore {
    ServiceName name;
    std::string file;                     // that it was, or should have been, made of
    std::optional<RestoreReport> report;  // empty where it stood already, or could not be restored
    std::optional<Error> error;
};
// A host that was lost: every service of a directory of backups (backup_directory.hpp) that is not
// installed, each under its own name from its newest backup that is whole, `jobs` of them at a
// time, each behind those of the AFTER in its backup. One that fails does not stop the others, also
// not those that come after it: they are told of it. `request` says how: its input and name are not
// used. Throws Error(system) where the directory has no service, Error(interrupted).
std::vector<ServiceRestore> restore_all(Machine& machine, const std::string& directory,
                                        const RestoreRequest& request, unsigned jobs = 1);

// A final backup that obliterate kept.
struct DeletedService {
    ServiceName name;
    TimePoint deleted;
    std::string file;
    std::uint64_t size = 0;  // bytes
    bool encrypted = false;
};
// All of them, the newest first. Asks no engine.
std::vector<DeletedService> list_deleted(const Machine& machine);

struct UndeleteRequest {
    OpenKey key;
    std::optional<ServiceName> new_name;  // default: its own
    std::optional<ImageReference> image;
    bool partial = false;
};
// Restores the newest final backup of the service; the file goes when that succeeded. Throws
// Error(not_installed) where there is none.
RestoreReport undelete(Machine& machine, const ServiceName& name, const UndeleteRequest& request);

struct DrillRequest {
    std::string file;  // empty: the newest backup
    OpenKey key;
};
struct DrillReport {
    std::string file;
    RestoreResult result;
    bool selftest = false;  // the service has one, and it passed
};
// Restores a backup of the service as a scratch service without a launcher, runs its selftest (or
// looks whether it is whole), and removes it again, also after a failure. The service is not
// touched; service.json records the verdict.
DrillReport drill(Machine& machine, const ServiceName& name, const DrillRequest& request);

// One thing that is wrong with an installation, and the command that mends it.
struct Problem {
    std::string id;  // stable word, for doctor and --json
    std::string what;
    std::string next;
};

struct ServiceCondition {
    ServiceName name;
    std::optional<Manifest> manifest;
    std::vector<Problem> problems;  // empty: whole
    std::vector<ContainerSummary> containers;
    std::string operation;  // in progress now, in words; empty: none
    std::optional<Hold> hold = std::nullopt;
    bool whole() const { return problems.empty(); }
};

// Changes nothing and takes no lock. Error(not_installed) where there is no trace of it.
ServiceCondition examine(Machine& machine, const ServiceName& name);

// examine, between the status hooks of a version 2 service, which do not run with --check; a
// failing hook is a problem.
ServiceCondition status(Machine& machine, const ServiceName& name);
// The same of every service of this installation, `jobs` at a time; three engine requests however
// many there are. One that cannot be judged, because it is bound to another engine, has the problem
// `unknown`.
std::vector<ServiceCondition> status_all(Machine& machine, unsigned jobs = 1);

struct ListedService {
    ServiceName name;
    std::string image;                 // reference
    std::string state;                 // running stopped broken unfinished
    std::vector<std::string> running;  // names of running containers
    std::string updated_at;
    std::optional<Hold> hold = std::nullopt;
};
// All services of this installation, by name; two engine requests however many there are. With an
// engine that does not answer the state is "unknown".
std::vector<ListedService> list_services(Machine& machine);

// A volume that an uninstall kept.
struct LeftVolume {
    ServiceName service;
    std::string name;
    std::string path;                   // in the container
    std::string created_at;             // as the engine says it
    std::optional<std::uint64_t> size;  // bytes of its files; empty where they are not here
};
// Those of this installation whose service is not installed, by service and name; one engine
// request.
std::vector<LeftVolume> list_left_volumes(Machine& machine);

struct LogsRequest {
    unsigned last_lines = 0;  // of each container, 0 for all
    bool follow = false;  // until all of them have ended; those that are made later do not count
};
// What came from a container's stdout or stderr. One call at a time.
using LogsSink = std::function<void(const std::string& container, bool is_error, Bytes bytes)>;
// The logs of the service's containers, one after the other in order of creation, or side by side
// where they are followed. Answers how many there are. Throws Error(not_installed, interrupted).
std::size_t read_logs(Machine& machine, const ServiceName& name, const LogsRequest& request,
                      const LogsSink& sink);

struct RegistryVerdict {
    std::string reference;
    std::string domain;
    std::string digest;             // that the reference names now
    bool with_credentials = false;  // some are configured for the domain
};
// Asks the registry for manifest and configuration of the reference. Throws Error(image_not_found,
// registry_denied, registry_unreachable), each with what to type.
RegistryVerdict test_registry(Machine& machine, const ImageReference& reference);

// Runs a command of the service on the caller's own streams; what its status means for our exit is
// the caller's to say. `arguments` begins with the subcommand. A version 2 service's hooks run
// around it: servicecmd_start and _end, or enter_start; a failing one throws Error(script_failed).
int run_service_command(Machine& machine, const ServiceName& name,
                        const std::vector<std::string>& arguments);

// What an update to an image would change of what runs as root, or decides how it runs.
struct ChangedScript {
    std::string path;    // below /drunner
    std::string before;  // SHA-256, empty for a new one
    std::string after;   // SHA-256, empty for one that is gone
};
struct ScriptDiff {
    std::string reference;
    std::string image_id;
    std::string digest;     // scripts_digest of the image
    bool accepted = false;  // the scripts pass REVIEW=pin
    std::vector<ChangedScript> scripts;
    bool image_changed = false;  // user, volumes, ports, environment ...
    std::string text;            // unified, printable; empty where nothing changes
};
// Compares what is installed as `name`, or nothing where nothing is, with an image that the engine
// has (default: what the service's reference names there). Nothing is pulled and nothing is
// started; the engine is asked, and creates and removes scratch containers.
ScriptDiff diff_image(Machine& machine, const ServiceName& name,
                      const std::optional<ImageReference>& image);
// The scripts of these digests may run as root on this host; who says so is recorded.
Outcome trust(Machine& machine, const ServiceName& name, const std::vector<std::string>& digests);

// What the rules say of an image, pulled where it is absent. Installs and starts nothing; its
// scripts are read by bash -n and shellcheck. `earlier`, or else an installed service of the same
// repository, is the release that it is compared with.
Judgement check_image(Machine& machine, const ImageReference& reference,
                      const std::optional<ImageReference>& earlier);
// The same for a directory that an image is built from: what only the image tells is not judged. An
// engine is asked for `earlier` alone.
Judgement check_build_context(const std::string& directory,
                              const std::function<Machine&()>& machine,
                              const std::optional<ImageReference>& earlier);

// Removes what nothing uses any more: scratch containers and probes of operations that are over,
// scratch services of drills, pins and releases that no manifest names, the data kept for
// `rollback --data`, final backups whose time is over. Says what.
struct CleanResult {
    Outcome outcome = Outcome::unchanged;
    std::vector<std::string> removed;
};
CleanResult clean(Machine& machine);

}  // namespace drunner
