#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// What the checks of doctor look at, taken once a round.
struct Examination {
    Machine& machine;
    std::string installation;                   // empty where its file is missing
    std::vector<ServiceName> services;          // to be looked at
    std::set<std::string> known;                // names with a directory, looked at or not
    std::map<std::string, Manifest> manifests;  // of all known that can be read
    bool whole_host = false;                    // no names were given
    std::string engine_problem;                 // why the engine does not answer; empty: it does
    std::vector<ContainerSummary> containers;
    std::vector<Volume> volumes;
    std::vector<Network> networks;
    std::vector<ImageTag> pins;

    const Manifest* manifest(const std::string& service) const;
    // The manifest, where the service is bound to the engine that answers here.
    const Manifest* manifest_here(const ServiceName& service) const;
    // Whether the kept container of the service is there, and whose it is.
    bool has_own_keep(const std::string& service) const;
    bool has_foreign_keep(const std::string& service) const;
    bool has_own_volume(const std::string& service) const;
    bool is_own(const Labels& labels) const;
    // Whether no such service is installed, asked of the disk: what the engine told may be younger
    // than `known`.
    bool is_gone(const std::string& service) const;
};

// Takes a finding of the check that runs. `mend` may be empty: then only a person can.
struct Symptom {
    std::string service;
    std::string what;
    std::string next;  // empty: `drunner doctor --fix`
    std::function<void()> mend;
};
using Tell = std::function<void(Symptom)>;
using Check = void (*)(const Examination& examination, const Tell& tell);

// Of services (doctor_services.cpp).
void check_unfinished(const Examination& examination, const Tell& tell);
void check_manifests(const Examination& examination, const Tell& tell);
void check_empty_directories(const Examination& examination, const Tell& tell);
void check_bindings(const Examination& examination, const Tell& tell);
void check_scripts(const Examination& examination, const Tell& tell);
void check_pins(const Examination& examination, const Tell& tell);
void check_missing_volumes(const Examination& examination, const Tell& tell);
void check_keep_containers(const Examination& examination, const Tell& tell);
void check_launchers(const Examination& examination, const Tell& tell);
void check_releases(const Examination& examination, const Tell& tell);
void check_temporaries(const Examination& examination, const Tell& tell);
void check_staging(const Examination& examination, const Tell& tell);
void check_backup_age(const Examination& examination, const Tell& tell);

// Of this host (doctor_host.cpp).
void check_installation_id(const Examination& examination, const Tell& tell);
void check_modes(const Examination& examination, const Tell& tell);
void check_path(const Examination& examination, const Tell& tell);
void check_disks(const Examination& examination, const Tell& tell);
void check_orphan_launchers(const Examination& examination, const Tell& tell);
void check_locks(const Examination& examination, const Tell& tell);
void check_partial_backups(const Examination& examination, const Tell& tell);
void check_expired(const Examination& examination, const Tell& tell);
void check_schedules(const Examination& examination, const Tell& tell);

// Of the engine (doctor_engine.cpp).
void check_engine(const Examination& examination, const Tell& tell);
void check_lost_installations(const Examination& examination, const Tell& tell);
void check_orphan_containers(const Examination& examination, const Tell& tell);
void check_scratch(const Examination& examination, const Tell& tell);
void check_orphan_volumes(const Examination& examination, const Tell& tell);
void check_orphan_networks(const Examination& examination, const Tell& tell);
void check_orphan_pins(const Examination& examination, const Tell& tell);

// The value of a label, empty where it is absent.
std::string label_value(const Labels& labels, const char* key);
// Whether the text ends with an operation's id (32 hexadecimal digits) and `suffix`, behind
// `prefix`.
bool is_made_by_operation(std::string_view text, std::string_view prefix, std::string_view suffix);
// Does the work under the service's lock where the service is installed and `still` holds of its
// service.json as it is then: between the look and the mending others may have worked on it.
std::function<void()> under_lock(Machine& machine, const ServiceName& service,
                                 std::function<bool(const Manifest&)> still,
                                 std::function<void(const Manifest&)> work);
// Does the work while there still is no such service.
std::function<void()> while_gone(const Examination& examination, const std::string& service,
                                 std::function<void()> work);
// Whether the file was last written longer ago than any operation leaves it alone.
bool is_abandoned(const Machine& machine, const std::string& path);

}  // namespace drunner
