#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operation/backup_steps.hpp"

namespace drunner {

// The backup that obliterate keeps for a while, for undelete.

// What obliterate found of a service.
struct Remnant {
    std::optional<Manifest> manifest;
    bool files = false;                // services/S exists
    std::vector<std::string> volumes;  // labelled with the service and this installation
    std::string reference;             // of the image, where anything still tells it
    std::string image_id;
};

struct FinalBackup {
    BackupPlan plan;
    BackupRequest request;  // the file has a name that is free
};

// Empty where there is nothing to keep, or the operator keeps nothing. Changes nothing but the
// directory for it. Throws an Error that names --purge: the data cannot be read here, there is not
// enough room (needed and free are named), the service is too broken for its hooks.
std::optional<FinalBackup> plan_final_backup(Machine& machine, const ServiceName& name,
                                             const Remnant& remnant);

// The same failure, told as what keeps obliterate from making the backup first.
Error without_final_backup(const ServiceName& name, const Error& error);

// Where the secrets stand that a final backup leaves out, since it is not encrypted.
std::string kept_secrets(const std::string& final_backup);

// Whether the operator no longer keeps it.
bool is_expired(const Machine& machine, const DeletedService& service);
// Removes the final backups that are older than the operator keeps them, and secrets that stand
// beside none; answers the backups' files. One that cannot be removed is a warning.
std::vector<std::string> remove_expired(Machine& machine);

}  // namespace drunner
