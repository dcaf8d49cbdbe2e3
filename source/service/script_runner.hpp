#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.hpp"
#include "core/service_name.hpp"

namespace drunner {

// The hooks of the contract, by what they mark. The names that a script is called with depend on
// VERSION.
enum class Hook {
    install,
    update_start,
    update_end,
    backup_start,
    backup_end,
    restore,
    uninstall,
    obliterate,
    enter_start,    // version 2 only
    status_start,   // version 2 only
    status_end,     // version 2 only
    command_start,  // version 2 only: servicecmd_start
    command_end,    // version 2 only: servicecmd_end
    selftest,
    check_secret,  // NAME on its command line, a content for it on stdin
};

// The subcommand for a hook, empty where that version has none: hook_name(Hook::backup_start, 2) is
// "backup_start".
std::string hook_name(Hook hook, int version);

struct HookCall {
    std::string script;  // absolute path of servicerunner
    int version = 1;
    Hook hook = Hook::install;
    std::vector<std::string> arguments;
    std::optional<Secret> input;  // stdin, from a file in memory; none: stdin is at its end
    std::string operation;        // DRUNNER_OPERATION: the verb
    std::string docker_host;      // "unix:///..."
    std::chrono::seconds limit{0};
    std::function<void(std::string_view)> output;
    std::function<void(pid_t group)> started;
};

struct HookResult {
    enum class Verdict { succeeded, absent, failed };  // absent: this version has no such hook
    Verdict verdict = Verdict::succeeded;
    int status = 0;
    bool timed_out = false;
    std::string last_lines;  // at most 50
};

struct CommandCall {
    std::string script;
    std::vector<std::string> arguments;  // the subcommand first
    std::string docker_host;
};

// The only place that runs a service's bash. Implementations: BashRunner, ScriptedRunner (tests).
class ScriptRunner {
  public:
    virtual ~ScriptRunner() = default;

    // Runs a hook as section 5 of the contract says; 0 and 3 succeed, and in version 2 a silent
    // 127. Throws Error(interrupted) and Error(system); a hook that fails is a result.
    virtual HookResult run_hook(const HookCall& call) = 0;

    // Runs a custom command on the caller's own streams; answers its exit status (128 + signal).
    virtual int run_command(const CommandCall& call) = 0;
};

// The operator's settings that decide about a hook's environment.
struct BashRunnerSettings {
    std::string prefix;                 // DRUNNER_PREFIX, empty where none
    std::string drunner_directory;      // of the binary: first on PATH
    std::string launcher_directory;     // second on PATH
    std::vector<std::string> hook_env;  // HOOKENV: further variables to pass on
};

class BashRunner : public ScriptRunner {
  public:
    explicit BashRunner(BashRunnerSettings settings) : settings_(std::move(settings)) {}

    HookResult run_hook(const HookCall& call) override;
    int run_command(const CommandCall& call) override;

  private:
    BashRunnerSettings settings_;
};

}  // namespace drunner
