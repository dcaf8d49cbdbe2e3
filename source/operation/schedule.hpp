#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/exit_code.hpp"
#include "operation/machine.hpp"
#include "service/schedules.hpp"

namespace drunner {

// The timer is there and goes when this returns; where it throws everything is as before. Unchanged
// where the same schedule stands. Throws Error(usage) for a time, a job or an option that makes no
// sense, Error(not_installed), Error(system) where systemd or cron do not take it.
Outcome set_schedule(Machine& machine, Schedule schedule);
// Unchanged where there is none of that id. Where it throws the timer goes on.
Outcome remove_schedule(Machine& machine, const std::string& id);

struct ScheduleState {
    Schedule schedule;
    std::string next;               // ISO 8601; empty where only systemd can say
    std::vector<ServiceName> gone;  // of its services
    bool stands = true;             // the timer is there
};
// By id.
std::vector<ScheduleState> list_schedules(Machine& machine);

struct ScheduledRun {
    std::string id;
    ExitCode code = ExitCode::done;
};
// What a timer calls: runs the job as an operator would type it, one command after the other, each
// by a drunner of its own; error where one failed. A backup that succeeded is followed by the
// prune that RETENTION asks for. Then ON_FAILURE is run for sh, with DRUNNER_SCHEDULE and
// DRUNNER_JOB, and the last 4 KiB of the output on stdin. Throws Error(locked) where the same
// schedule still runs, after ON_FAILURE as well.
ScheduledRun run_schedule(Machine& machine, const std::string& id);
// Those that were due since they last ran: what a host slept through.
std::vector<ScheduledRun> run_missed(Machine& machine);

}  // namespace drunner
