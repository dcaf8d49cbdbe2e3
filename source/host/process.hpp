#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace drunner {

// How a child ended, as a shell tells it: 0..255, or 128 + signal.
using ExitStatus = int;

// What /proc/PID/stat says of a process (proc(5)). The start time, in clock ticks since boot,
// together with the pid names one process for ever.
struct ProcessStat {
    char state = 'X';  // Z is a zombie, X is one that is not there
    pid_t parent = 0;
    pid_t group = 0;
    unsigned long long start_time = 0;
};
ProcessStat process_stat(pid_t pid);

// Who runs this process.
struct Caller {
    unsigned uid = 0;
    std::string sudo_user;  // who called sudo, empty where nobody did

    bool operator==(const Caller&) const = default;
};
Caller caller();

// The variables of this process, "KEY=value".
std::vector<std::string> own_environment();

// 0 where there is no such process.
unsigned long long process_start_time(pid_t pid);

struct BoundedProcess {
    std::vector<std::string> arguments;    // argv; [0] is an absolute path
    std::vector<std::string> environment;  // "KEY=value", complete
    std::string directory = "/";
    std::chrono::seconds limit{0};  // 0 means none
    // Takes stdout and stderr together, as they come.
    std::function<void(std::string_view)> output;
    // Called in the parent as soon as the child's process group exists, before it executes
    // anything; the journal records it.
    std::function<void(pid_t group)> started;
    int input = -1;  // its stdin: a descriptor of the caller's, -1 where it has none
    std::chrono::seconds grace{10};  // between SIGTERM and SIGKILL
};

struct BoundedResult {
    ExitStatus status = 0;
    bool timed_out = false;
};

// Runs a program in a session and process group of its own: stdin `input`, or a pseudo-terminal
// at end of file, umask 022, all signals at their defaults, no descriptor but 0, 1 and 2. At the
// limit, or when cancellation is pending, the whole group gets SIGTERM and `grace` later
// SIGKILL; a cancellation throws Error(interrupted) after that. Descendants that outlive the
// program but left no pipe open are not waited for.
BoundedResult run_bounded(const BoundedProcess& process);

// Ends a process group: SIGTERM, up to `grace`, then SIGKILL. Only where its leader still is the
// process with that start time.
void end_process_group(pid_t group, unsigned long long start_time, std::chrono::seconds grace);

// Runs a program with the caller's own streams, terminal, directory and environment changed by
// `environment` ("KEY=value" sets); signals at their defaults. SIGINT and SIGQUIT are left to the
// child while it runs, SIGTERM and SIGHUP are passed on.
ExitStatus run_attached(const std::vector<std::string>& arguments,
                        const std::vector<std::string>& environment);

}  // namespace drunner
