#include "operation/schedule_timers.hpp"

#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/process.hpp"
#include "service/calendar.hpp"
#include "service/templates.hpp"

namespace drunner {
namespace {

constexpr std::chrono::seconds longest_call{60};
constexpr const char* accepted_times =
    "daily, 03:00, Mon..Fri 22:30, *-*-01 05:00, *:0/15 and the like (systemd.time(7), without "
    "years and seconds)";

std::string unit_name(const std::string& id, const char* kind) {
    return "drunner-" + id + "." + kind;
}

// systemd.syntax(7), systemd.service(5): quotes and backslashes are C's, a '%' begins a specifier
// and a '$' a variable.
std::string unit_word(std::string word) {
    word = filled(std::move(word), "\\", "\\\\");
    word = filled(std::move(word), "\"", "\\\"");
    word = filled(std::move(word), "%", "%%");
    return "\"" + filled(std::move(word), "$", "$$") + "\"";
}

// crontab(5): a '%' ends the command; the shell reads the rest.
std::string table_word(const std::string& word) {
    return filled("'" + filled(word, "'", "'\\''") + "'", "%", "\\%");
}

std::optional<std::string> content_of(const std::string& file) {
    return exists(file) ? std::optional(read_file(file)) : std::nullopt;
}

// What a drunner that was killed left half written. The lock of the schedules keeps others away.
void remove_unfinished(const std::string& directory) {
    for (const std::string& name : unfinished_entries(directory)) {
        if (name.starts_with("drunner")) {
            remove_tree(directory + "/" + name);
        }
    }
}

}  // namespace

Timers::Timers(Machine& machine)
    : machine_(machine), systemd_(exists(machine.paths.systemd_runs())) {
    if (!systemd_ && !exists(parent_of(machine.paths.cron_table()))) {
        throw Error(ErrorKind::system,
                    "neither systemd runs here, nor is there a '" +
                        parent_of(machine.paths.cron_table()) + "' for cron",
                    "apt-get install cron");
    }
}

// What went wrong, in words.
std::optional<std::string> Timers::failure_of(const std::vector<std::string>& words) const {
    std::string output;
    BoundedProcess process;
    process.arguments = {"/usr/bin/env"};
    process.arguments.insert(process.arguments.end(), words.begin(), words.end());
    process.environment = {"PATH=" + machine_.caller_path, "LC_ALL=C"};
    process.limit = longest_call;
    process.output = [&](std::string_view bytes) { output += bytes; };
    const BoundedResult result = run_bounded(process);
    if (!result.timed_out && result.status == 0) {
        return std::nullopt;
    }
    return "'" + join(words, " ") + "' " +
           (result.timed_out ? std::string("did not end")
                             : "failed with status " + std::to_string(result.status)) +
           (trim(output).empty() ? "" : ": " + printable(trim(output)));
}

void Timers::systemctl(std::vector<std::string> words) const {
    words.insert(words.begin(), "systemctl");
    if (const auto failure = failure_of(words)) {
        throw Error(ErrorKind::system, *failure, join(words, " "));
    }
}

void Timers::check(const std::string& when) const {
    const std::optional<Calendar> calendar = parse_calendar(when);
    const auto refused = [&](const std::string& why) {
        return Error(ErrorKind::usage, "'" + printable(when) + "' " + why,
                     "drunner schedule backup daily");
    };
    if (systemd_) {
        if (!calendar && (when.find_first_of("\n%") != std::string::npos ||
                          failure_of({"systemd-analyze", "calendar", when}))) {
            throw refused(std::string("is no time that systemd knows: ") + accepted_times);
        }
    } else if (!calendar) {
        throw refused(std::string("is no time that cron can keep: ") + accepted_times);
    } else if (!cron_fields(*calendar)) {
        throw refused(
            "names weekdays and days of the month, of which cron takes the one or the "
            "other");
    }
}

std::vector<Timers::Unit> Timers::units_of(const Schedule& schedule) const {
    const std::string id = schedule.id();
    const std::string& prefix = machine_.paths.prefix();
    const std::string environment =
        prefix.empty() ? "" : "Environment=" + unit_word("DRUNNER_PREFIX=" + prefix) + "\n";
    std::vector<Unit> units;
    for (const char* kind : {"service", "timer"}) {
        std::string text = template_file(std::string("systemd/drunner-schedule.") + kind);
        text = filled(std::move(text), "@ENVIRONMENT@", environment);
        text = filled(std::move(text), "@DRUNNER@", unit_word(machine_.drunner_binary));
        text = filled(std::move(text), "@ID@", id);
        text = filled(std::move(text), "@WHEN@", schedule.when);
        units.push_back({machine_.paths.systemd_units() + "/" + unit_name(id, kind), text});
    }
    return units;
}

std::string Timers::table_of(const std::vector<Schedule>& all) const {
    const std::string& prefix = machine_.paths.prefix();
    const std::string drunner =
        (prefix.empty() ? std::string() : "DRUNNER_PREFIX=" + table_word(prefix) + " ") +
        table_word(machine_.drunner_binary);
    std::string text = filled(template_file("cron/drunner"), "@DRUNNER@", drunner);
    for (const Schedule& schedule : all) {
        const std::optional<Calendar> calendar = parse_calendar(schedule.when);
        const std::optional<std::string> fields = calendar ? cron_fields(*calendar) : std::nullopt;
        if (!fields) {
            throw Error(ErrorKind::broken,
                        "the schedule '" + schedule.id() + "' has a time that cron cannot keep: '" +
                            printable(schedule.when) + "'",
                        "drunner schedule remove " + schedule.id());
        }
        text += *fields;
        text += " root " + drunner + " schedule run " + table_word(schedule.id()) + "\n";
    }
    return text;
}

bool Timers::stands(const Schedule& schedule, const std::vector<Schedule>& all) const {
    if (!systemd_) {
        return content_of(machine_.paths.cron_table()) == table_of(all);
    }
    for (const Unit& unit : units_of(schedule)) {
        if (content_of(unit.file) != unit.text) {
            return false;
        }
    }
    const std::string timer = unit_name(schedule.id(), "timer");
    return !failure_of({"systemctl", "is-enabled", "--quiet", timer}) &&
           !failure_of({"systemctl", "is-active", "--quiet", timer});
}

void Timers::put(const Schedule& schedule, const std::vector<Schedule>& all) const {
    if (!systemd_) {
        remove_unfinished(parent_of(machine_.paths.cron_table()));
        write_file(machine_.paths.cron_table(), table_of(all), 0644);
        return;
    }
    make_directories(machine_.paths.systemd_units(), 0755);
    remove_unfinished(machine_.paths.systemd_units());
    for (const Unit& unit : units_of(schedule)) {
        write_file(unit.file, unit.text, 0644);
    }
    const std::string timer = unit_name(schedule.id(), "timer");
    systemctl({"daemon-reload"});
    systemctl({"enable", timer});
    // Also where it runs already, by another time.
    systemctl({"restart", timer});
}

void Timers::remove(const std::string& id, const std::vector<Schedule>& all) const {
    if (!systemd_) {
        if (all.empty()) {
            remove_tree(machine_.paths.cron_table());
        } else {
            write_file(machine_.paths.cron_table(), table_of(all), 0644);
        }
        return;
    }
    const std::string directory = machine_.paths.systemd_units();
    if (exists(directory + "/" + unit_name(id, "timer"))) {
        systemctl({"disable", "--now", unit_name(id, "timer")});
    }
    for (const char* kind : {"timer", "service"}) {
        remove_tree(directory + "/" + unit_name(id, kind));
    }
    systemctl({"daemon-reload"});
}

}  // namespace drunner
