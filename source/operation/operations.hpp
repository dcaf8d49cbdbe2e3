#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_file.hpp"
#include "check/rules.hpp"
#include "core/exit_code.hpp"
#include "core/image_reference.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The verbs. Each that changes something takes the service's lock, recovers what is unfinished, and
// is one transaction: when it throws, the machine is as before.

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
};
struct UpdateResult {
    Outcome outcome = Outcome::changed;
    Manifest manifest;
    std::vector<std::string> changes;  // what differs, in words
};
UpdateResult update(Machine& machine, const ServiceName& name, const UpdateRequest& request);

struct RemovalResult {
    Outcome outcome = Outcome::changed;
    std::vector<std::string> volumes;  // kept by uninstall, removed by obliterate
};
RemovalResult uninstall(Machine& machine, const ServiceName& name);
// Throws Error(script_failed) after everything is removed where the hook failed.
RemovalResult obliterate(Machine& machine, const ServiceName& name);

struct RecoverRequest {
    std::optional<ImageReference> image;
    bool empty = false;      // make missing volumes anew, empty
    bool move_host = false;  // bind the service to the engine in use
};
Outcome recover(Machine& machine, const ServiceName& name, const RecoverRequest& request);

// Finishes or undoes what interrupted operations left, on every service; nothing else. One that
// fails does not stop the others.
struct RecoverAllResult {
    std::vector<std::string> recovered;  // names
    std::vector<std::string> failures;   // "NAME: what went wrong"
};
RecoverAllResult recover_all(Machine& machine);

struct BackupRequest {
    std::string file;  // empty: a new one below the backup directory
    int output = -1;   // a descriptor to write to instead (file is "-")
    BackupKey key;
    int level = 3;
};
struct BackupReport {
    std::string file;
    BackupResult result;
};
BackupReport backup(Machine& machine, const ServiceName& name, const BackupRequest& request);

struct RestoreRequest {
    int input = -1;  // the archive; the caller's descriptor
    OpenKey key;
    std::optional<ServiceName> name;      // default: the name in the archive
    std::optional<ImageReference> image;  // default: what the archive names
    bool partial = false;                 // paths that only one side has are left out
};
struct RestoreReport {
    Manifest manifest;
    RestoreResult result;
};
RestoreReport restore(Machine& machine, const RestoreRequest& request);

// One thing that is wrong with an installation, and the command that mends it.
struct Problem {
    std::string what;
    std::string next;
};

struct ServiceCondition {
    ServiceName name;
    std::optional<Manifest> manifest;
    std::vector<Problem> problems;  // empty: whole
    std::vector<ContainerSummary> containers;
    std::string operation;  // in progress now, in words; empty: none
    bool whole() const { return problems.empty(); }
};

// Changes nothing and takes no lock. Error(not_installed) where there is no trace of it.
ServiceCondition examine(Machine& machine, const ServiceName& name);

// examine, between the status hooks of a version 2 service; a failing hook is a problem.
ServiceCondition status(Machine& machine, const ServiceName& name);

struct ListedService {
    ServiceName name;
    std::string image;                 // reference
    std::string state;                 // running stopped broken unfinished
    std::vector<std::string> running;  // names of running containers
    std::string updated_at;
};
// All services of this installation, by name; two engine requests however many there are. With an
// engine that does not answer the state is "unknown".
std::vector<ListedService> list_services(Machine& machine);

// Runs a command of the service on the caller's own streams; what its status means for our exit is
// the caller's to say. `arguments` begins with the subcommand. A version 2 service's hooks run
// around it: servicecmd_start and _end, or enter_start; a failing one throws Error(script_failed).
int run_service_command(Machine& machine, const ServiceName& name,
                        const std::vector<std::string>& arguments);

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
// pins and releases that no manifest names. Says what.
struct CleanResult {
    Outcome outcome = Outcome::unchanged;
    std::vector<std::string> removed;
};
CleanResult clean(Machine& machine);

}  // namespace drunner
