#include <algorithm>
#include <cctype>
#include <set>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Commands = std::vector<const ShellCommand*>;

constexpr const char* runner_file = "servicerunner";

// Both versions' names of one hook.
std::optional<Commands> hook(const Subject& subject, const char* one, const char* two) {
    const ShellText& runner = subject.runner()->text;
    const bool second = subject.facts.config && subject.facts.config->version == 2;
    return verb_commands(runner, second ? two : one);
}

std::optional<Commands> start_of(const Subject& subject) {
    return hook(subject, "backupstart", "backup_start");
}
std::optional<Commands> end_of(const Subject& subject) {
    return hook(subject, "backupend", "backup_end");
}
std::optional<Commands> restore_of(const Subject& subject) {
    return hook(subject, "restore", "restore_end");
}

// The first call of docker with one of the verbs.
const ShellCommand* calls(const std::optional<Commands>& commands,
                          std::initializer_list<std::string_view> verbs) {
    if (!commands) {
        return nullptr;
    }
    for (const ShellCommand* one : *commands) {
        const auto call = docker_call(*one);
        if (call && std::find(verbs.begin(), verbs.end(), call->verb) != verbs.end()) {
            return one;
        }
    }
    return nullptr;
}

Founds unpaused(const Subject& subject) {
    const ShellCommand* pause = calls(start_of(subject), {"pause"});
    if (pause == nullptr || calls(end_of(subject), {"unpause", "restart"}) != nullptr) {
        return {};
    }
    return {{"what 'backupstart' pauses stays paused", runner_file, pause->line}};
}

Founds started_again(const Subject& subject) {
    const ShellCommand* stop = calls(start_of(subject), {"stop", "rm", "kill"});
    if (stop == nullptr || calls(end_of(subject), {"start", "run", "restart"}) != nullptr) {
        return {};
    }
    return {{"what 'backupstart' stops stays stopped", runner_file, stop->line}};
}

Founds started_only_if_running(const Subject& subject) {
    const auto end = end_of(subject);
    const ShellCommand* start = calls(end, {"unpause"});
    if (start == nullptr) {
        return {};
    }
    // Somebody asks first: a condition, or `x && docker unpause`.
    const bool asks = std::any_of(end->begin(), end->end(), [](const ShellCommand* one) {
        return one->condition || one->link == ShellCommand::Link::and_if ||
               one->link == ShellCommand::Link::or_if;
    });
    if (asks) {
        return {};
    }
    return {{"'backupend' unpauses without asking whether it is paused", runner_file, start->line}};
}

// As much of the text from there on as is surely part of a path.
std::string path_at(std::string_view text, std::size_t at) {
    std::size_t end = at;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
            std::string_view("._-/").find(text[end]) != std::string_view::npos)) {
        ++end;
    }
    return std::string(text.substr(at, end - at));
}

// Names below the backup's directory: what stands behind "$1/", or behind a variable with '/'.
std::set<std::string> names_in_directory(const std::optional<Commands>& commands) {
    std::set<std::string> names;
    if (!commands) {
        return names;
    }
    const auto add = [&](const ShellWord& word) {
        for (const std::string_view start : {"$1/", "${1}/", "$2/", "$DIR/", "${DIR}/", "$dir/"}) {
            const std::size_t at = word.value.find(start);
            const std::string name =
                at == std::string::npos ? std::string() : path_at(word.value, at + start.size());
            if (!name.empty()) {
                names.insert(name);
            }
        }
    };
    for (const ShellCommand* one : *commands) {
        std::for_each(one->words.begin(), one->words.end(), add);
        for (const ShellRedirection& redirection : one->redirections) {
            add(redirection.target);
        }
    }
    return names;
}

bool uses_directory(const std::optional<Commands>& commands) {
    return commands && std::any_of(commands->begin(), commands->end(), [](const ShellCommand* one) {
               const auto mentions = [](const ShellWord& word) {
                   return word.mentions("1") || word.mentions("2") || word.mentions("@");
               };
               return std::any_of(one->words.begin(), one->words.end(), mentions) ||
                      std::any_of(one->redirections.begin(), one->redirections.end(),
                                  [&](const ShellRedirection& redirection) {
                                      return mentions(redirection.target);
                                  });
           });
}

Founds dump_read_back(const Subject& subject) {
    if (!uses_directory(start_of(subject)) || !restore_of(subject) ||
        uses_directory(restore_of(subject))) {
        return {};
    }
    return {{"'restore' never reads what 'backupstart' leaves in its directory", runner_file, 0}};
}

Founds dump_found_again(const Subject& subject) {
    const std::set<std::string> written = names_in_directory(start_of(subject));
    const std::set<std::string> read = names_in_directory(restore_of(subject));
    if (written.empty() || read.empty()) {
        return {};
    }
    Founds found;
    for (const std::string& name : read) {
        if (!written.contains(name)) {
            found.push_back(
                {"'restore' reads '" + printable(name) + "', which 'backupstart' does not write",
                 runner_file, 0});
        }
    }
    return found;
}

bool is_daemon(const DockerCall& call) {
    return call.verb == "run" && call.has("d", "detach");
}

bool runs_daemon(const Subject& subject) {
    const Script& runner = *subject.runner();
    return std::any_of(runner.docker.begin(), runner.docker.end(), is_daemon);
}

Founds quiet_while_read(const Subject& subject) {
    const auto start = start_of(subject);
    const bool has_volumes = subject.facts.config && !subject.facts.config->volumes.empty();
    if (!has_volumes || !start || !runs_daemon(subject)) {
        return {};
    }
    const bool acts = std::any_of(start->begin(), start->end(), [](const ShellCommand* one) {
        const std::string name = one->name();
        return !name.empty() && name != ":" && name != "true" && name != "echo";
    });
    if (acts) {
        return {};
    }
    return {{"'backupstart' does nothing, so that files are read while they are written",
             runner_file, 0}};
}

Founds something_saved(const Subject& subject) {
    if (!subject.facts.config->volumes.empty() || subject.runner() == nullptr ||
        !runs_daemon(subject) || uses_directory(start_of(subject))) {
        return {};
    }
    return {{"the service runs, and nothing of it is in a backup", "servicecfg.sh", 0}};
}

Founds not_everything_left_out(const Subject& subject) {
    Founds found;
    for (const std::string& pattern : subject.facts.config->backup_exclude) {
        if (pattern.find_first_not_of("*/.") == std::string::npos) {
            found.push_back({"BACKUP_EXCLUDE leaves everything out: '" + printable(pattern) + "'",
                             "servicecfg.sh", 0});
        }
    }
    return found;
}

Founds patterns_relative(const Subject& subject) {
    Founds found;
    for (const std::string& pattern : subject.facts.config->backup_exclude) {
        if (pattern.starts_with("/") && pattern.find_first_not_of("*/.") != std::string::npos) {
            found.push_back({"the pattern '" + printable(pattern) +
                                 "' is absolute, and matches nothing below a volume",
                             "servicecfg.sh", 0});
        }
    }
    return found;
}

Founds no_own_archive(const Subject& subject) {
    const auto start = start_of(subject);
    if (!start) {
        return {};
    }
    Founds found;
    for (const ShellCommand* one : *start) {
        for (const ShellRedirection& redirection : one->redirections) {
            const std::string& path = redirection.target.value;
            if (redirection.sign.find('>') != std::string::npos && redirection.sign != ">&" &&
                (path.starts_with("/") || path.starts_with("~")) && path != "/dev/null") {
                found.push_back(
                    {"'backupstart' writes '" + printable(path) + "', which is in no backup",
                     runner_file, one->line});
            }
        }
    }
    return found;
}

Founds no_nested_drunner(const Subject& subject) {
    const Script& runner = *subject.runner();
    Founds found;
    for (const ShellCommand& command : runner.text.commands) {
        if (command.name() != "drunner") {
            continue;
        }
        const auto words = command.arguments();
        for (const std::string_view verb :
             {"backup", "restore", "update", "uninstall", "obliterate", "recover"}) {
            if (!words.empty() && words[0]->value == verb) {
                found.push_back({"calls 'drunner " + std::string(verb) + "' itself", runner_file,
                                 command.line});
            }
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> backup_rules() {
    using enum Severity;
    return {
        {"unpaused-after-backup", 6, error, Needs::runner, "what is paused for a backup goes on",
         "the service stayed paused after a backup whose volume could not be read",
         "docker unpause in backupend", unpaused},
        {"started-after-backup", 6, error, Needs::runner, "what is stopped for a backup goes on",
         "services left stopped by a failed backup are the oldest open complaint about backup "
         "containers",
         "docker start in backupend", started_again},
        {"backupend-asks", 6, warning, Needs::runner, "backupend also works after half a backup",
         "backupend runs always, also where backupstart failed before the pause: unpausing what "
         "runs is an error, and hides the first one",
         "if container_paused \"$SERVICENAME\"; then docker unpause ...", started_only_if_running},
        {"dump-read-back", 6, error, Needs::runner, "what backupstart dumps, restore reads",
         "a backup that is written and never read is found on the day it is needed",
         "read \"$1\" in restore)", dump_read_back},
        {"dump-found-again", 6, error, Needs::runner,
         "restore reads the names that backupstart wrote",
         "one module dumped timescale.sql and restored backup.sql: every backup good, every "
         "restore broken",
         "use one name, from a variable", dump_found_again},
        {"quiet-while-read", 6, warning, Needs::runner, "nothing is written while volumes are read",
         "files that change while they are read make half of the backups fail, and the rest wrong",
         "pause the container in backupstart, or dump to \"$1\"", quiet_while_read},
        {"something-saved", 6, warning, Needs::config, "a backup has something in it",
         "the top complaint about backups of containers: told as done for weeks, and empty",
         "add the directory that the service writes to VOLUMES", something_saved},
        {"not-everything-left-out", 6, error, Needs::config, "BACKUP_EXCLUDE leaves something in",
         "a backup of no files is a backup that says OK",
         "name what is to be left out: BACKUP_EXCLUDE=(\"*.tmp\")", not_everything_left_out},
        {"patterns-relative", 6, warning, Needs::config, "BACKUP_EXCLUDE can match",
         "patterns look at paths below a volume: an absolute one leaves nothing out, and the "
         "backup grows with the cache it should not have",
         "write \"cache/*\" instead of \"/data/cache/*\"", patterns_relative},
        {"no-archive-elsewhere", 6, error, Needs::runner, "dumps go into the backup",
         "a dump that lies somewhere on the host is gone with the host, which is what the backup "
         "was for",
         "write to \"$1\", or into a volume", no_own_archive},
        {"no-drunner-inside", 6, error, Needs::runner, "the service does not manage itself",
         "a command inside of a hook that waited for the lock of its own deploy never ended",
         "leave it to the operator, or to a timer", no_nested_drunner},
    };
}

}  // namespace drunner
