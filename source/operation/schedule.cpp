#include "operation/schedule.hpp"

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "host/process.hpp"
#include "operation/backup_directory.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "operation/schedule_timers.hpp"
#include "service/calendar.hpp"
#include "service/manifest.hpp"

namespace drunner {
namespace {

// As the name of a unit, with what systemd puts around it.
constexpr std::size_t longest_id = 200;
constexpr std::chrono::minutes longest_on_failure{10};
constexpr std::chrono::minutes longest_undo{5};  // of a job that is stopped
constexpr std::chrono::seconds wait_for_store{10};
constexpr std::size_t most_output = 4096;  // that ON_FAILURE gets
constexpr const char* wait_for_service = "--wait=600";

ScheduleStore store_of(const Machine& machine) {
    return ScheduleStore(machine.paths.schedules());
}

FileLock lock_store(const Machine& machine) {
    return FileLock::acquire(machine.paths.schedules_lock(), machine.command_line,
                             std::max(machine.lock_wait, wait_for_store));
}

void check_schedule(const Machine& machine, const Schedule& schedule) {
    if (schedule.id().size() > longest_id) {
        throw Error(ErrorKind::usage, "these are too many services for one schedule",
                    "drunner schedule " + schedule.job + " WHEN");
    }
    for (const ServiceName& name : schedule.services) {
        Catalog(machine.paths).load(name);
    }
}

// All of them, with this one in the place of its former self.
std::vector<Schedule> with(std::vector<Schedule> all, const Schedule& schedule) {
    std::erase_if(all, [&](const Schedule& one) { return one.id() == schedule.id(); });
    all.push_back(schedule);
    std::sort(all.begin(), all.end(),
              [](const Schedule& a, const Schedule& b) { return a.id() < b.id(); });
    return all;
}

std::vector<Schedule> without(std::vector<Schedule> all, const std::string& id) {
    std::erase_if(all, [&](const Schedule& one) { return one.id() == id; });
    return all;
}

// What undoes a change that failed; its own failure does not hide that one.
void undo(Machine& machine, const std::function<void()>& work) {
    try {
        work();
    } catch (const std::exception& error) {
        machine.progress.warning("the timers are not as before: " + std::string(error.what()));
    }
}

using Words = std::vector<std::string>;

// The newest backup of each, for verify. A service without one is told, and counts as failed.
Words newest_backups(Machine& machine, const std::vector<ServiceName>& names, bool& complete,
                     const std::function<void(const std::string&)>& tell) {
    Words files;
    for (const ServiceName& name : names) {
        std::vector<std::string> unknown;
        const auto backups = stored_backups(machine.config.backup_directory, name, unknown);
        if (backups.empty()) {
            complete = false;
            tell("'" + name.text() + "' has no backup in '" + machine.config.backup_directory +
                 "'\n");
        } else {
            files.push_back(backups.front().file);
        }
    }
    return files;
}

// One run, from its beginning to what is to be told of its failure.
class Run {
  public:
    Run(Machine& machine, Schedule schedule) : machine_(machine), schedule_(std::move(schedule)) {}

    ExitCode perform() {
        const bool all = schedule_.services.empty();
        const std::vector<ServiceName> services =
            all ? Catalog(machine_.paths).names() : schedule_.services;
        if (services.empty()) {
            return ExitCode::no_change;
        }
        if (schedule_.job == "backup") {
            if (all) {
                call({"backup", "--all"});
            } else {
                for (const ServiceName& name : services) {
                    call({"backup", name.text()});
                }
            }
            if (!failed_ && !machine_.config.retention.empty()) {
                call_for_all({"prune"}, all, false);
            }
        } else if (schedule_.job == "update") {
            call_for_all(all ? Words{"update"} : Words{"update", "--unattended"}, all, true);
        } else if (schedule_.job == "drill") {
            for (const ServiceName& name : services) {
                call({"drill", name.text()});
            }
        } else {
            bool complete = true;
            Words words = newest_backups(machine_, services, complete,
                                         [this](const std::string& text) { hear(text); });
            failed_ = !complete;
            if (!words.empty()) {
                words.insert(words.begin(), "verify");
                call(std::move(words));
            }
        }
        return failed_ ? ExitCode::error : changed_ ? ExitCode::done : ExitCode::no_change;
    }

    void hear(std::string_view bytes) {
        machine_.progress.script_output(bytes);
        output_ += bytes;
        if (output_.size() > 2 * most_output) {
            output_.erase(0, output_.size() - most_output);
        }
    }

    void tell_failure() const {
        if (machine_.config.on_failure.empty()) {
            return;
        }
        const FileDescriptor input = memory_file(std::string_view(output_).substr(
            output_.size() - std::min(output_.size(), most_output)));
        BoundedProcess process;
        process.arguments = {"/bin/sh", "-c", machine_.config.on_failure};
        process.environment = {"PATH=" + machine_.caller_path, "DRUNNER_SCHEDULE=" + schedule_.id(),
                               "DRUNNER_JOB=" + schedule_.job};
        process.limit = longest_on_failure;
        process.output = [&](std::string_view bytes) { machine_.progress.script_output(bytes); };
        process.input = input.get();
        const BoundedResult result = run_bounded(process);
        if (result.timed_out || result.status != 0) {
            machine_.progress.warning(
                "ON_FAILURE " + (result.timed_out
                                     ? std::string("did not end")
                                     : "failed with status " + std::to_string(result.status)));
        }
    }

  private:
    void call_for_all(Words words, bool all, bool with_options) {
        if (all) {
            words.emplace_back("--all");
        } else {
            for (const ServiceName& name : schedule_.services) {
                words.push_back(name.text());
            }
        }
        call(std::move(words), with_options);
    }

    void call(Words words, bool with_options = true) {
        if (with_options) {
            words.insert(words.end(), schedule_.options.begin(), schedule_.options.end());
        }
        words.emplace_back(wait_for_service);
        words.insert(words.begin(), machine_.drunner_binary);
        BoundedProcess process;
        process.arguments = std::move(words);
        process.environment = schedule_.environment;
        for (std::string& variable : own_environment()) {
            process.environment.push_back(
                std::move(variable));  // of two of a name the first counts
        }
        process.grace = longest_undo;  // and no limit: all that it waits for has one
        process.output = [this](std::string_view bytes) { hear(bytes); };
        const BoundedResult result = run_bounded(process);
        changed_ = changed_ || result.status == static_cast<int>(ExitCode::done);
        failed_ = failed_ || (result.status != static_cast<int>(ExitCode::done) &&
                              result.status != static_cast<int>(ExitCode::no_change));
    }

    Machine& machine_;
    Schedule schedule_;
    std::string output_;
    bool changed_ = false;
    bool failed_ = false;
};

// Notes down what became of a run, where the schedule is still there.
void note_run(Machine& machine, const std::string& id, const std::string& began_at,
              std::optional<ExitCode> code) {
    const FileLock lock = lock_store(machine);
    if (std::optional<Schedule> schedule = store_of(machine).find(id)) {
        schedule->began_at = began_at;
        schedule->exit_code = code ? std::optional(static_cast<int>(*code)) : std::nullopt;
        store_of(machine).save(*schedule);
    }
}

}  // namespace

Outcome set_schedule(Machine& machine, Schedule schedule) {
    std::sort(schedule.services.begin(), schedule.services.end(),
              [](const ServiceName& a, const ServiceName& b) { return a.text() < b.text(); });
    schedule.services.erase(std::unique(schedule.services.begin(), schedule.services.end()),
                            schedule.services.end());
    check_schedule(machine, schedule);
    const Timers timers(machine);
    timers.check(schedule.when);
    std::optional<FileLock> lock;
    if (!machine.check) {
        lock.emplace(lock_store(machine));
    }
    const ScheduleStore store = store_of(machine);
    const std::vector<Schedule> before = store.all();
    const std::string id = schedule.id();
    const std::optional<Schedule> standing = store.find(id);
    schedule.set_at = iso8601(machine.clock.now());
    if (standing) {
        schedule.began_at = standing->began_at;
        schedule.exit_code = standing->exit_code;
        Schedule same = schedule;
        same.set_at = standing->set_at;
        if (same == *standing && timers.stands(schedule, before)) {
            return Outcome::unchanged;
        }
    }
    tell_change(machine, "schedule '" + id + "' at '" + schedule.when + "', kept by " +
                             timers.keeper() + (standing ? "" : " (new)"));
    if (machine.check) {
        return Outcome::changed;
    }
    const std::vector<Schedule> after = with(before, schedule);
    store.save(schedule);
    try {
        timers.put(schedule, after);
    } catch (...) {
        undo(machine, [&] {
            if (standing) {
                store.save(*standing);
                timers.put(*standing, before);
            } else {
                store.remove(id);
                timers.remove(id, before);
            }
        });
        throw;
    }
    return Outcome::changed;
}

Outcome remove_schedule(Machine& machine, const std::string& id) {
    const Timers timers(machine);
    std::optional<FileLock> lock;
    if (!machine.check) {
        lock.emplace(lock_store(machine));
    }
    const ScheduleStore store = store_of(machine);
    const std::optional<Schedule> standing = store.find(id);
    if (!standing) {
        return Outcome::unchanged;
    }
    tell_change(machine, "schedule '" + id + "' is removed");
    if (!machine.check) {
        // The timer first: without its schedule it would fail for ever.
        const std::vector<Schedule> before = store.all();
        try {
            timers.remove(id, without(before, id));
        } catch (...) {
            undo(machine, [&] { timers.put(*standing, before); });
            throw;
        }
        store.remove(id);
    }
    return Outcome::changed;
}

std::vector<ScheduleState> list_schedules(Machine& machine) {
    std::vector<ScheduleState> states;
    const std::vector<Schedule> all = store_of(machine).all();
    if (all.empty()) {
        return states;
    }
    const Timers timers(machine);
    const Catalog catalog(machine.paths);
    for (const Schedule& schedule : all) {
        ScheduleState state{schedule, {}, {}, timers.stands(schedule, all)};
        if (const std::optional<Calendar> calendar = parse_calendar(schedule.when)) {
            state.next = iso8601(next_due(*calendar, machine.clock.now()));
        }
        for (const ServiceName& name : schedule.services) {
            if (!exists(machine.paths.manifest(name))) {
                state.gone.push_back(name);
            }
        }
        states.push_back(std::move(state));
    }
    return states;
}

ScheduledRun run_schedule(Machine& machine, const std::string& id) {
    const std::optional<Schedule> schedule = store_of(machine).find(id);
    if (!schedule) {
        throw Error(ErrorKind::usage, "there is no schedule '" + printable(id) + "'",
                    "drunner schedule list");
    }
    Run run(machine, *schedule);
    ExitCode code = ExitCode::error;
    try {
        const FileLock lock = FileLock::acquire(machine.paths.schedule_lock(id),
                                                machine.command_line, std::chrono::seconds(0));
        const std::string began_at = iso8601(machine.clock.now());
        note_run(machine, id, began_at, std::nullopt);
        code = run.perform();
        note_run(machine, id, began_at, code);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::interrupted) {
            run.hear(std::string(error.what()) + "\n");
            run.tell_failure();
        }
        throw;
    }
    if (code == ExitCode::error) {
        run.tell_failure();
    }
    return {id, code};
}

std::vector<ScheduledRun> run_missed(Machine& machine) {
    std::vector<ScheduledRun> runs;
    for (const Schedule& schedule : store_of(machine).all()) {
        const std::optional<Calendar> calendar = parse_calendar(schedule.when);
        const std::optional<TimePoint> since =
            parse_iso8601(schedule.began_at.empty() ? schedule.set_at : schedule.began_at);
        if (!calendar || !since || last_due(*calendar, machine.clock.now()) <= *since) {
            continue;
        }
        try {
            runs.push_back(run_schedule(machine, schedule.id()));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            runs.push_back({schedule.id(), ExitCode::error});
        }
    }
    return runs;
}

}  // namespace drunner
