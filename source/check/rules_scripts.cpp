#include <algorithm>
#include <array>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

// `set -e`, `set -o errexit`, `#!/bin/bash -e`.
bool sets_option(const Script& script, char letter, std::string_view name) {
    for (const std::string& word : interpreter_of(script.file->content)) {
        if (word.size() > 1 && word[0] == '-' && word[1] != '-' &&
            word.find(letter) != std::string::npos) {
            return true;
        }
    }
    return std::any_of(
        script.text.commands.begin(), script.text.commands.end(), [&](const ShellCommand& one) {
            if (one.name() != "set" || !one.function.empty()) {
                return false;
            }
            const auto words = one.arguments();
            return std::any_of(words.begin(), words.end(), [&](const ShellWord* word) {
                return word->value == name ||
                       (word->value.size() > 1 && word->value[0] == '-' && letter != 0 &&
                        word->value.find(letter) != std::string::npos);
            });
        });
}

Founds stops_at_errors(const Subject& subject) {
    if (sets_option(*subject.runner(), 'e', "errexit")) {
        return {};
    }
    return {{"servicerunner goes on after a command that failed", "servicerunner", 1}};
}

Founds knows_its_variables(const Subject& subject) {
    if (sets_option(*subject.runner(), 'u', "nounset")) {
        return {};
    }
    return {{"servicerunner takes a misspelt variable for an empty one", "servicerunner", 1}};
}

Founds fails_with_its_pipes(const Subject& subject) {
    const Script& runner = *subject.runner();
    const auto& commands = runner.text.commands;
    const auto pipe = std::find_if(commands.begin(), commands.end(), [](const ShellCommand& one) {
        return one.link == ShellCommand::Link::pipe;
    });
    if (pipe == commands.end() || sets_option(runner, 0, "pipefail")) {
        return {};
    }
    return {{"a pipe succeeds although its first program failed", "servicerunner", pipe->line}};
}

Founds errexit_stays(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (command.name() != "set") {
            return std::nullopt;
        }
        for (const ShellWord* word : command.arguments()) {
            if (word->value.starts_with("+") && word->value.find('e') != std::string::npos) {
                return "turns 'set -e' off";
            }
        }
        return std::nullopt;
    });
}

Founds functions_keep_errexit(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        for (const ShellCommand& command : script.text.commands) {
            const bool ignored = command.link == ShellCommand::Link::or_if || command.condition;
            const ShellFunction* function = script.text.find_function(command.name());
            if (ignored && function != nullptr && function->body.last - function->body.first > 1) {
                found.push_back({"'" + printable(function->name) +
                                     "' is called where 'set -e' does not hold inside of it",
                                 script.name, command.line});
            }
        }
    }
    return found;
}

Founds status_not_masked(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        if (name != "local" && name != "declare" && name != "export" && name != "readonly") {
            return std::nullopt;
        }
        for (const ShellWord* word : command.arguments()) {
            const bool substitutes =
                std::any_of(word->expansions.begin(), word->expansions.end(),
                            [](const ShellExpansion& one) { return one.name.empty(); });
            if (substitutes && word->value.find('=') != std::string::npos) {
                return "'" + name + "' hides whether the command in $(...) failed";
            }
        }
        return std::nullopt;
    });
}

bool is_source(const ShellCommand& command) {
    const std::string name = command.name();
    return name == "source" || name == ".";
}

bool sources(const ShellText& text, std::string_view file) {
    return std::any_of(text.commands.begin(), text.commands.end(), [&](const ShellCommand& one) {
        const auto words = one.arguments();
        return is_source(one) && !words.empty() && words[0]->value.ends_with(file);
    });
}

constexpr std::array<std::string_view, 11> our_variables{
    "VOLUMES",  "DOCKERVOLS", "DOCKEROPTS", "EXTRACONTAINERS", "SERVICENAME",   "IMAGENAME",
    "IMAGEREF", "IMAGEID",    "HOSTIP",     "INSTALLTIME",     "SERVICETEMPDIR"};

bool is_ours(std::string_view name) {
    return std::find(our_variables.begin(), our_variables.end(), name) != our_variables.end();
}

Founds reads_variables(const Subject& subject) {
    const ShellText& text = subject.runner()->text;
    if (sources(text, "variables.sh")) {
        return {};
    }
    for (const ShellCommand& command : text.commands) {
        for (const ShellWord& word : command.words) {
            for (const ShellExpansion& one : word.expansions) {
                if (is_ours(one.name)) {
                    return {{"'" + one.name + "' is used, and variables.sh never read",
                             "servicerunner", one.line}};
                }
            }
        }
    }
    return {};
}

Founds reads_functions(const Subject& subject) {
    const ShellText& text = subject.runner()->text;
    if (sources(text, "utils.sh")) {
        return {};
    }
    for (const ShellCommand& command : text.commands) {
        const std::string name = command.name();
        for (const std::string_view ours :
             {"die", "dockerrun", "container_exists", "container_running", "container_paused",
              "volumeexists", "elementIn", "isHook", "utils_import", "utils_export"}) {
            if (name == ours && text.find_function(name) == nullptr) {
                return {{"'" + name + "' is called, and utils.sh never read", "servicerunner",
                         command.line}};
            }
        }
    }
    return {};
}

Founds reads_beside_itself(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const auto words = command.arguments();
        if (!is_source(command) || words.empty() || !words[0]->literal() ||
            words[0]->value.starts_with("/")) {
            return std::nullopt;
        }
        return "reads '" + printable(words[0]->value) + "' from wherever the caller stands";
    });
}

bool splits(const ShellExpansion& one) {
    return !one.quoted && one.name != "#" && one.name != "?" && one.name != "$" && one.name != "!";
}

// Words of a command that are split and globbed: not those of a test, and not assignments.
template <typename Wanted>
Founds unquoted(const Subject& subject, const Wanted& wanted) {
    return subject.in_commands([&](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        if (name == "[[" || name == "local" || name == "declare" || name == "export" ||
            name == "readonly" || name == "typeset") {
            return std::nullopt;
        }
        for (const ShellWord& word : command.words) {
            for (const ShellExpansion& one : word.expansions) {
                if (splits(one) && wanted(one)) {
                    return "'$" + printable(one.name) + "' stands without quotes";
                }
            }
        }
        return std::nullopt;
    });
}

Founds variables_quoted(const Subject& subject) {
    return unquoted(subject, [](const ShellExpansion& one) { return is_ours(one.name); });
}

Founds arguments_quoted(const Subject& subject) {
    return unquoted(subject, [](const ShellExpansion& one) {
        return one.name == "@" || one.name == "*" ||
               (one.name.size() == 1 && one.name[0] >= '1' && one.name[0] <= '9');
    });
}

Founds no_eval(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (command.name() != "eval") {
            return std::nullopt;
        }
        return "runs text as a program: eval";
    });
}

Founds removes_what_it_names(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (command.name() != "rm") {
            return std::nullopt;
        }
        bool recursive = false;
        for (const ShellWord* word : command.arguments()) {
            const std::string& text = word->value;
            if (text.starts_with("--")) {
                recursive = recursive || text == "--recursive";
            } else if (text.starts_with("-")) {
                recursive = recursive || text.find_first_of("rR") != std::string::npos;
            } else if (recursive && text.starts_with("$") && !word->expansions.empty() &&
                       !word->expansions.front().guarded &&
                       word->expansions.front().name != "SERVICETEMPDIR") {
                return "removes the tree '" + printable(text) + "', whatever that is";
            }
        }
        return std::nullopt;
    });
}

Founds asks_nothing(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const auto words = command.arguments();
        if (command.name() != "read" || !std::any_of(words.begin(), words.end(), [](auto* word) {
                return word->value.starts_with("-") && word->value.find('p') != std::string::npos;
            })) {
            return std::nullopt;
        }
        return "asks a question";
    });
}

Founds known_exit_codes(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const auto words = command.arguments();
        if (command.name() != "exit" || words.empty() || !words[0]->literal()) {
            return std::nullopt;
        }
        constexpr std::array<std::string_view, 4> known{"0", "1", "3", "127"};
        if (std::find(known.begin(), known.end(), words[0]->value) != known.end()) {
            return std::nullopt;
        }
        return "exits " + printable(words[0]->value) + ", which callers see as 1";
    });
}

}  // namespace

std::vector<Rule> script_rules() {
    using enum Severity;
    return {
        {"stops-at-errors", 2, error, Needs::runner, "servicerunner stops at errors",
         "failing install and backupstart hooks, and a failing unpack during restore, were told as "
         "success",
         "begin with 'set -euo pipefail'", stops_at_errors},
        {"knows-its-variables", 2, warning, Needs::runner, "a misspelt variable is an error",
         "an empty variable turns rm -rf \"$DIR/data\" into rm -rf /data",
         "begin with 'set -euo pipefail'", knows_its_variables},
        {"fails-with-its-pipes", 2, warning, Needs::runner,
         "a pipe fails where any of its programs does",
         "truncated archives looked like good ones: the dump failed, the compressor did not",
         "begin with 'set -euo pipefail'", fails_with_its_pipes},
        {"errexit-stays", 2, warning, Needs::files, "'set -e' is not turned off",
         "between 'set +e' and its end every failure is a success, and the end is forgotten",
         "test the one command: if ! command; then ...", errexit_stays},
        {"functions-keep-errexit", 2, warning, Needs::files,
         "no longer function is called where its errors are ignored",
         "calling a function left of || or in a condition turns 'set -e' off inside of it: so the "
         "old tool told failed restores as success",
         "call the function alone, and let it die by itself", functions_keep_errexit},
        {"status-not-masked", 2, warning, Needs::files, "declarations hide no failure",
         "'local X=$(command)' succeeds whatever the command did: the old compatibility test "
         "passed images whose 'enter' was broken",
         "declare first, assign in a line of its own", status_not_masked},
        {"reads-variables", 2, error, Needs::runner, "variables.sh is read before it is used",
         "without it the first use ends the script, or runs docker without a name and volumes",
         "source \"$(dirname \"$(readlink -f \"$0\")\")/variables.sh\"", reads_variables},
        {"reads-functions", 2, error, Needs::runner, "utils.sh is read before it is used",
         "'die: command not found' and exit 127, which in version 2 means a hook that is not there",
         "source \"$(dirname \"$(readlink -f \"$0\")\")/utils.sh\"", reads_functions},
        {"reads-beside-itself", 2, error, Needs::files, "files are read by absolute paths",
         "hooks run in /, commands where the caller stands: a file of that name there would be run "
         "as root",
         "source \"$(dirname \"$(readlink -f \"$0\")\")/NAME\"", reads_beside_itself},
        {"variables-quoted", 2, warning, Needs::files, "drunner's variables stand in quotes",
         "paths with spaces and stars are split and globbed; a volume of such a name is mounted "
         "somewhere else",
         "write \"$SERVICENAME\" and \"${DOCKEROPTS[@]}\"", variables_quoted},
        {"arguments-quoted", 2, error, Needs::files, "the caller's arguments stand in quotes",
         "the contract passes arguments untouched; without quotes 'S store \"my file\"' is two "
         "words and '*' the caller's directory",
         "write \"$1\" and \"$@\"", arguments_quoted},
        {"no-eval", 2, error, Needs::files, "no text is run as a program",
         "commands put together from strings were how names with spaces and semicolons ran as "
         "root",
         "use an array: \"${words[@]}\"", no_eval},
        {"removes-what-it-names", 2, warning, Needs::files,
         "no tree is removed whose name may be empty",
         "rm -rf with an unchecked variable has emptied hosts of every tool that had one",
         "write \"${DIR:?}\"", removes_what_it_names},
        {"asks-nothing", 2, error, Needs::files, "scripts ask no question",
         "hooks have a terminal at end of file, Ansible and cron none: the question ends the "
         "script or is answered by nobody",
         "take an argument or a setting", asks_nothing},
        {"known-exit-codes", 2, note, Needs::files, "exit codes are 0, 1 and 3",
         "Ansible decides by 0, 1 and 3; every other code becomes 1 and its meaning is lost",
         "exit 1, and say why on stderr", known_exit_codes},
    };
}

}  // namespace drunner
