#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/progress.hpp"
#include "engine/engine.hpp"
#include "engine/registry.hpp"
#include "host/clock.hpp"
#include "host/paths.hpp"
#include "service/operator_config.hpp"
#include "service/script_runner.hpp"

namespace drunner {

class FileLock;
class TransactionObserver;
struct AuditedService;
struct Changes;

// The outside world of an operation: passed, never global. main builds the real one, tests build
// theirs. Files are real, below paths.prefix().
struct Machine {
    Engine& engine;
    Registry& registry;
    ScriptRunner& scripts;
    Clock& clock;
    Progress& progress;
    Paths paths;
    OperatorConfig config;
    std::string engine_socket;   // what engine talks to
    std::string version;         // of this drunner
    std::string drunner_binary;  // absolute path, what launchers point at
    std::string caller_path;     // the caller's PATH
    std::string command_line;    // for the lock: "drunner update blog"
    std::chrono::seconds lock_wait{0};
    bool nested = false;  // a hook of the operation that holds the lock called this drunner
    TransactionObserver* observer = nullptr;  // tests watch, and break, steps through it
    std::string accept_scripts =
        {};                      // the scripts_digest that the operator accepts by this command
    Changes* changes = nullptr;  // gathers what operations change; nullptr: nobody asks
    // Gathers the services that operations work on; nullptr: nobody asks.
    std::vector<AuditedService>* audited = nullptr;
    // --check: operations tell what they would do and stop before they do it. Only a Rehearsal
    // sets it, whose engine and scripts refuse the rest.
    bool check = false;
    // Of the service that is worked on: its hooks are admitted to it. ServiceSession sets it;
    // nullptr: no lock is held, or this drunner is itself below such a hook.
    const FileLock* lock = nullptr;
    // Why no volume's mount point can be trusted on this machine, empty where they can; set by the
    // first VolumeAccess that had to find out.
    std::optional<std::string> volumes_elsewhere = {};

    // The same world, but what is said goes to another Progress.
    Machine saying_to(Progress& other) const {
        return {
            engine,    registry,      scripts,          clock,          other,       paths,
            config,    engine_socket, version,          drunner_binary, caller_path, command_line,
            lock_wait, nested,        observer,         accept_scripts, changes,     audited,
            check,     lock,          volumes_elsewhere};
    }
};

}  // namespace drunner
