#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/schedule.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"password-file", 0, "FILE", "for a backup, drill or verify: the password in it"},
    OptionRow{"identity", 0, "FILE", "for a drill or verify: the age identities in it"},
    OptionRow{"missed", 0, nullptr, "with run: all that were due since they last ran"},
};

constexpr const char* help_command = "drunner help schedule";

json document_of(const Schedule& schedule) {
    json services = json::array();
    for (const ServiceName& name : schedule.services) {
        services.push_back(name.text());
    }
    return {{"id", schedule.id()},
            {"job", schedule.job},
            {"when", schedule.when},
            {"services", std::move(services)},
            {"options", schedule.options}};
}

std::string dumped(json document) {
    document["command"] = "schedule";
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

// Files by their full paths: a timer starts elsewhere.
std::vector<std::string> job_options(const Arguments& arguments, const std::string& job) {
    std::vector<std::string> words;
    for (const char* option : {"password-file", "identity"}) {
        if (!arguments.has(option)) {
            continue;
        }
        if (job == "update" || (job == "backup" && option == std::string("identity"))) {
            throw Error(ErrorKind::usage,
                        "'--" + std::string(option) + "' is nothing for '" + job + "'",
                        help_command);
        }
        const std::string file = std::filesystem::absolute(arguments.value(option)).string();
        if (!std::filesystem::is_regular_file(file)) {
            throw Error(
                ErrorKind::usage,
                "'--" + std::string(option) + "': there is no file '" + printable(file) + "'",
                help_command);
        }
        words.push_back("--" + std::string(option) + "=" + file);
    }
    return words;
}

// The engine and the credentials that are meant here; a timer's environment names neither.
std::vector<std::string> environment_of(const Arguments& arguments) {
    std::vector<std::string> variables;
    for (const char* name : {"DOCKER_HOST", "DOCKER_CONFIG"}) {
        const char* value = std::getenv(name);
        if (name == std::string("DOCKER_HOST") && arguments.has("host")) {
            variables.push_back("DOCKER_HOST=" + arguments.value("host"));
        } else if (value != nullptr && *value != '\0') {
            variables.push_back(std::string(name) + "=" + value);
        }
    }
    return variables;
}

Answer set(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    if (words.size() < 2) {
        throw Error(ErrorKind::usage, "'schedule " + words[0] + "' needs a time, as daily or 03:00",
                    "drunner schedule " + words[0] + " daily");
    }
    Schedule schedule{words[0], words[1], {}, job_options(invocation.arguments, words[0]), {}};
    schedule.environment = environment_of(invocation.arguments);
    for (std::size_t i = 2; i < words.size(); ++i) {
        schedule.services.emplace_back(words[i]);
    }
    const Outcome outcome = set_schedule(invocation.machine(), schedule);
    const bool changed = outcome == Outcome::changed;
    json document = document_of(schedule);
    document["changed"] = changed;
    return {
        exit_code(outcome),
        "'" + schedule.id() + "' runs at '" + schedule.when + "'" + (changed ? "\n" : " already\n"),
        dumped(std::move(document))};
}

Answer list(const Invocation& invocation) {
    std::vector<ResultRow> rows;
    json schedules = json::array();
    for (const ScheduleState& state : list_schedules(invocation.machine())) {
        const Schedule& schedule = state.schedule;
        std::vector<std::string> gone;
        for (const ServiceName& name : state.gone) {
            gone.push_back(name.text());
        }
        const std::string last = schedule.began_at.empty() ? "never ran"
                                 : !schedule.exit_code     ? "began " + schedule.began_at
                                 : *schedule.exit_code == static_cast<int>(ExitCode::error)
                                     ? "failed " + schedule.began_at
                                     : "ran " + schedule.began_at;
        rows.push_back({schedule.id(), printable(schedule.when),
                        last + (state.next.empty() ? "" : ", next " + state.next) +
                            (gone.empty() ? "" : ", not installed any more: " + join(gone, " ")) +
                            (state.stands ? "" : ", its timer is gone: set it again")});
        json document = document_of(schedule);
        document["set_at"] = schedule.set_at;
        document["began_at"] = schedule.began_at;
        document["exit"] = schedule.exit_code ? json(*schedule.exit_code) : json();
        document["next"] = state.next;
        document["gone"] = gone;
        document["stands"] = state.stands;
        schedules.push_back(std::move(document));
    }
    return {ExitCode::done, result_table(rows, "SCHEDULE", "nothing is scheduled"),
            dumped({{"schedules", schedules}})};
}

Answer remove(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    if (words.size() != 2) {
        throw Error(ErrorKind::usage, "'schedule remove' takes the schedule's name",
                    "drunner schedule list");
    }
    const Outcome outcome = remove_schedule(invocation.machine(), words[1]);
    const bool changed = outcome == Outcome::changed;
    return {exit_code(outcome),
            changed ? "removed '" + words[1] + "'\n"
                    : "there is no schedule '" + printable(words[1]) + "'\n",
            dumped({{"id", words[1]}, {"changed", changed}})};
}

Answer run_due(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    const bool missed = invocation.arguments.has("missed");
    if (words.size() != (missed ? 1 : 2)) {
        throw Error(ErrorKind::usage, "'schedule run' takes a schedule's name, or --missed",
                    "drunner schedule list");
    }
    if (invocation.is_check()) {
        throw Error(ErrorKind::usage, "what a job will do cannot be foretold here",
                    "drunner --check backup --all");
    }
    Machine& machine = invocation.machine();
    const std::vector<ScheduledRun> runs =
        missed ? run_missed(machine) : std::vector{run_schedule(machine, words[1])};
    ExitCode code = ExitCode::no_change;
    std::vector<ResultRow> rows;
    json ran = json::array();
    for (const ScheduledRun& one : runs) {
        if (one.code == ExitCode::error || code == ExitCode::no_change) {
            code = one.code;
        }
        rows.push_back({one.id,
                        one.code == ExitCode::error  ? "failed"
                        : one.code == ExitCode::done ? "done"
                                                     : "unchanged",
                        ""});
        ran.push_back({{"id", one.id}, {"exit", static_cast<int>(one.code)}});
    }
    return {code, result_table(rows, "SCHEDULE", "nothing was missed"),
            dumped({{"changed", code != ExitCode::no_change}, {"ran", ran}})};
}

Answer run(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    const std::string& verb = words[0];
    if (invocation.arguments.has("missed") && verb != "run") {
        throw Error(ErrorKind::usage, "--missed stands behind 'schedule run'", help_command);
    }
    if (verb == "list" && words.size() == 1) {
        return list(invocation);
    }
    if (verb == "remove") {
        return remove(invocation);
    }
    if (verb == "run") {
        return run_due(invocation);
    }
    if (!is_scheduled_job(verb)) {
        throw Error(
            ErrorKind::usage,
            "'" + printable(verb) + "' cannot be scheduled: backup, update, drill or verify can",
            help_command);
    }
    return set(invocation);
}

}  // namespace

constinit const Command schedule_command{
    "schedule",
    "backup|update|drill|verify WHEN [SERVICE...], list, remove NAME, run NAME",
    "let a timer do it: systemd's, or cron's",
    "0 set, removed, listed or run, 3 it is so already, or there was nothing to do, 1 failed",
    options,
    1,
    std::numeric_limits<std::size_t>::max(),
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
