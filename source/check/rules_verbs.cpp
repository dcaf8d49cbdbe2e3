#include <algorithm>
#include <array>
#include <set>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

constexpr const char* runner_file = "servicerunner";

struct VerbRow {
    const char* name;
    bool hook;  // one that VERSION=2 calls by another name, and may leave out
};
constexpr std::array verbs{
    VerbRow{"install", true},     VerbRow{"uninstall", true}, VerbRow{"obliterate", true},
    VerbRow{"backupstart", true}, VerbRow{"backupend", true}, VerbRow{"restore", true},
    VerbRow{"updatestart", true}, VerbRow{"updateend", true}, VerbRow{"help", false},
    VerbRow{"enter", false},      VerbRow{"selftest", false},
};

bool is_version_2(const Subject& subject) {
    return subject.facts.config && subject.facts.config->version == 2;
}

// A verb counts as handled where any test compares with it, too: `[ "$1" = install ]`.
bool handles(const ShellText& runner, std::string_view verb) {
    if (verb_commands(runner, verb)) {
        return true;
    }
    return std::any_of(runner.commands.begin(), runner.commands.end(), [&](const auto& one) {
        const std::string name = one.name();
        return (name == "[" || name == "[[" || name == "test" || name == "if") &&
               std::any_of(one.words.begin(), one.words.end(),
                           [&](const ShellWord& word) { return word.value == verb; });
    });
}

template <std::size_t row>
Founds handled(const Subject& subject) {
    const VerbRow& verb = verbs[row];
    if ((verb.hook && is_version_2(subject)) || handles(subject.runner()->text, verb.name)) {
        return {};
    }
    return {{std::string("servicerunner does not handle '") + verb.name + "'", runner_file, 0}};
}

Founds secrets_checked(const Subject& subject) {
    const char* verb = is_version_2(subject) ? "check_secret" : "checksecret";
    if (!subject.facts.config) {
        return {};
    }
    Founds found;
    for (const SecretDeclaration& secret : subject.facts.config->secrets) {
        if (secret.check && !handles(subject.runner()->text, verb)) {
            found.push_back({"servicerunner does not handle '" + std::string(verb) +
                                 "', which SECRETS wants for '" + printable(secret.name) + "'",
                             runner_file, 0});
        }
    }
    return found;
}

const ShellArm* default_arm(const ShellText& runner) {
    for (const ShellCase* one : dispatches(runner)) {
        for (const ShellArm& arm : one->arms) {
            if (std::find(arm.patterns.begin(), arm.patterns.end(), "*") != arm.patterns.end()) {
                return &arm;
            }
        }
    }
    return nullptr;
}

// An error for whoever called: `exit 1`, `die ...`, `return 1`, `false`.
bool fails(const ShellCommand& command) {
    const std::string name = command.name();
    const auto words = command.arguments();
    if (name == "die" || name == "false") {
        return true;
    }
    return (name == "exit" || name == "return") && !words.empty() && words[0]->value != "0";
}

Founds unknown_word_fails(const Subject& subject) {
    const ShellText& runner = subject.runner()->text;
    if (dispatches(runner).empty()) {
        return {};
    }
    const ShellArm* arm = default_arm(runner);
    if (arm == nullptr) {
        return {{"servicerunner has no '*)' for words that it does not know", runner_file,
                 dispatches(runner).front()->line}};
    }
    const auto commands = runner.reached_from(arm->body);
    // What hands the word on, `"$@"` or `exec docker ... "$@"`, leaves the answer to another.
    const bool answers = std::any_of(commands.begin(), commands.end(), [](const ShellCommand* one) {
        return fails(*one) || std::any_of(one->words.begin(), one->words.end(),
                                          [](const ShellWord& word) { return word.mentions("@"); });
    });
    if (answers) {
        return {};
    }
    return {{"a word that servicerunner does not know succeeds", runner_file, arm->line}};
}

Founds no_reserved_word(const Subject& subject) {
    Founds found;
    for (const ShellCase* one : dispatches(subject.runner()->text)) {
        for (const ShellArm& arm : one->arms) {
            for (const std::string_view word : {"backup", "update", "recover", "rollback"}) {
                if (std::find(arm.patterns.begin(), arm.patterns.end(), word) !=
                    arm.patterns.end()) {
                    found.push_back({"the command '" + std::string(word) + "' can never be called",
                                     runner_file, arm.line});
                }
            }
        }
    }
    return found;
}

Founds no_arm_twice(const Subject& subject) {
    Founds found;
    for (const ShellCase* one : dispatches(subject.runner()->text)) {
        std::set<std::string> seen;
        bool everything = false;
        for (const ShellArm& arm : one->arms) {
            for (const std::string& pattern : arm.patterns) {
                if (everything || !seen.insert(pattern).second) {
                    found.push_back({"'" + printable(pattern) + "' was taken further up",
                                     runner_file, arm.line});
                }
            }
            everything = everything || seen.contains("*");
        }
    }
    return found;
}

Founds works_without_words(const Subject& subject) {
    const ShellText& runner = subject.runner()->text;
    for (const ShellCommand& command : runner.commands) {
        const std::string name = command.name();
        if (!command.function.empty()) {
            continue;
        }
        // Whoever looks at the number of arguments first has thought of it.
        if (std::any_of(command.words.begin(), command.words.end(),
                        [](const ShellWord& word) { return word.mentions("#"); })) {
            return {};
        }
        for (const ShellAssignment& one : command.assignments) {
            for (const ShellWord& word : one.words) {
                for (const ShellExpansion& expansion : word.expansions) {
                    if (expansion.name == "1" && !expansion.guarded) {
                        return {{"'$1' is taken without a default", runner_file, one.line}};
                    }
                }
            }
        }
        if (name == "shift" && command.link != ShellCommand::Link::or_if && !command.condition) {
            return {{"'shift' fails where there is no argument", runner_file, command.line}};
        }
    }
    for (const ShellCase* one : dispatches(runner)) {
        for (const ShellExpansion& expansion : one->subject.expansions) {
            if (expansion.name == "1" && !expansion.guarded && one->function.empty()) {
                return {{"'$1' is taken without a default", runner_file, one->line}};
            }
        }
    }
    return {};
}

bool starts_daemon(const ShellCommand& command) {
    const auto call = docker_call(command);
    return call && ((call->verb == "run" && call->has("d", "detach")) || call->verb == "start" ||
                    call->verb == "restart");
}

bool ends_container(const ShellCommand& command) {
    const auto call = docker_call(command);
    return call && (call->verb == "rm" || call->verb == "stop" || call->verb == "kill");
}

template <typename Predicate>
bool any_of_verb(const ShellText& runner, std::string_view verb, Predicate predicate) {
    const auto commands = verb_commands(runner, verb);
    return commands && std::any_of(commands->begin(), commands->end(),
                                   [&](const ShellCommand* one) { return predicate(*one); });
}

bool runs_daemon(const ShellText& runner) {
    return std::any_of(runner.commands.begin(), runner.commands.end(), starts_daemon);
}

Founds removal_ends_containers(const Subject& subject) {
    const ShellText& runner = subject.runner()->text;
    if (is_version_2(subject) || !runs_daemon(runner)) {
        return {};
    }
    Founds found;
    for (const char* verb : {"uninstall", "obliterate"}) {
        if (verb_commands(runner, verb) && !any_of_verb(runner, verb, ends_container)) {
            found.push_back(
                {std::string("'") + verb + "' leaves the containers running", runner_file, 0});
        }
    }
    return found;
}

Founds update_changes_containers(const Subject& subject) {
    const ShellText& runner = subject.runner()->text;
    if (is_version_2(subject) || !runs_daemon(runner) || !verb_commands(runner, "updateend") ||
        any_of_verb(runner, "updateend", starts_daemon)) {
        return {};
    }
    return {{"'updateend' starts nothing, so that the old image goes on", runner_file, 0}};
}

Founds arguments_reach_program(const Subject& subject) {
    const std::vector<std::string>& entry = subject.facts.entrypoint;
    const bool shell = entry.size() >= 3 && entry[1] == "-c" &&
                       (entry[0].ends_with("/sh") || entry[0].ends_with("/bash"));
    if (!shell || entry[2].find("$@") != std::string::npos ||
        entry[2].find("$*") != std::string::npos || entry[2].find("$1") != std::string::npos) {
        return {};
    }
    return {{"ENTRYPOINT '" + printable(entry[2].substr(0, 80)) +
                 "' runs whatever command is given to the image",
             "", 0}};
}

Founds shell_to_enter(const Subject& subject) {
    const auto commands = verb_commands(subject.runner()->text, "enter");
    if (!commands || subject.facts.context) {
        return {};
    }
    for (const ShellCommand* one : *commands) {
        const auto call = docker_call(*one);
        if (one->name() != "dockerrun" && !(call && call->of_own_image())) {
            continue;
        }
        for (const ShellWord& word : one->words) {
            const std::string shell = word.value == "bash" ? "/bin/bash" : word.value;
            if (shell == "/bin/bash" && !subject.facts.shells.contains(shell)) {
                return {{"'enter' starts /bin/bash, which the image does not have", runner_file,
                         one->line}};
            }
        }
    }
    return {};
}

Founds commands_kept(const Subject& subject) {
    if (subject.runner() == nullptr || dispatches(subject.runner()->text).empty()) {
        return {};
    }
    const std::vector<std::string> now = verbs_of(subject.runner()->text);
    Founds found;
    for (const std::string& verb : verbs_of(read_shell_text(subject.facts.earlier->runner))) {
        if (std::find(now.begin(), now.end(), verb) == now.end()) {
            found.push_back({"the command '" + printable(verb) + "' of '" +
                                 printable(subject.facts.earlier->reference) + "' is gone",
                             runner_file, 0});
        }
    }
    return found;
}

Founds version_kept(const Subject& subject) {
    if (!subject.facts.config ||
        subject.facts.config->version >= subject.facts.earlier->config.version) {
        return {};
    }
    return {{"VERSION went from 2 back to 1", "servicecfg.sh", 0}};
}

}  // namespace

std::vector<Rule> verb_rules() {
    using enum Severity;
    return {
        {"verb-install", 4, error, Needs::runner, "servicerunner handles 'install'",
         "unhandled, it reaches the default case and the installation is undone; or it is taken "
         "for success and nothing runs",
         "add install) with what starts the service", handled<0>},
        {"verb-uninstall", 4, error, Needs::runner, "servicerunner handles 'uninstall'",
         "the hook that was never called left containers behind, which held the volumes",
         "add uninstall) with what stops the service", handled<1>},
        {"verb-obliterate", 4, error, Needs::runner, "servicerunner handles 'obliterate'",
         "obliterate calls this one instead of 'uninstall': without it the containers run on until "
         "drunner ends them",
         "add it to the case: uninstall | obliterate)", handled<2>},
        {"verb-backupstart", 6, error, Needs::runner, "servicerunner handles 'backupstart'",
         "where it fails there is no backup at all",
         "add backupstart) with a pause, or a dump to \"$1\"", handled<3>},
        {"verb-backupend", 6, error, Needs::runner, "servicerunner handles 'backupend'",
         "a service stayed paused after its backup: the half that lets go was missing",
         "add backupend) with what undoes backupstart", handled<4>},
        {"verb-restore", 6, error, Needs::runner, "servicerunner handles 'restore'",
         "the restore is undone at its last step; cloning was broken in a whole collection because "
         "one action was missing",
         "add restore) with what reads \"$1\"; nothing, where nothing was written", handled<5>},
        {"verb-updatestart", 4, error, Needs::runner, "servicerunner handles 'updatestart'",
         "the update stops before it began, for ever: it is the old release's script that lacks it",
         "add updatestart) with what stops the service", handled<6>},
        {"verb-updateend", 4, error, Needs::runner, "servicerunner handles 'updateend'",
         "every update to this release is rolled back",
         "add updateend) with what starts the service", handled<7>},
        {"verb-help", 4, error, Needs::runner, "servicerunner handles 'help'",
         "the bare service name shows help: users of label-driven tools met \"totally cryptic\" "
         "options and nothing that told them",
         "add help) with the service's commands", handled<8>},
        {"verb-enter", 4, error, Needs::runner, "servicerunner handles 'enter'",
         "drunner enter is how a broken service is looked at, when it is too late for an update",
         "add enter) dockerrun /bin/sh \"$@\"", handled<9>},
        {"verb-selftest", 5, error, Needs::runner, "servicerunner handles 'selftest'",
         "an update that broke the service is told as success, where nothing can say otherwise",
         "add selftest) with a look at the running service", handled<10>},
        {"verb-checksecret", 4, error, Needs::runner, "servicerunner handles 'checksecret'",
         "the secret can never be set: each is refused by the default case",
         "add checksecret) with what reads the content from stdin and fails where it is none",
         secrets_checked},
        {"unknown-word-fails", 4, error, Needs::runner, "an unknown command is an error",
         "a playbook with a misspelt command is green for ever; the old compatibility test called "
         "an invented command for this",
         "end the case with *) die \"no command '$1'.\"", unknown_word_fails},
        {"no-reserved-word", 4, error, Needs::runner, "no command has a reserved name",
         "drunner refuses S backup, S update, S recover and S rollback, because the service's own "
         "was taken for the tool's",
         "choose another name", no_reserved_word},
        {"no-arm-twice", 4, warning, Needs::runner, "every arm of the case can be reached",
         "the first arm that matches wins: a hook that was added below '*)' is never called",
         "move '*)' to the end", no_arm_twice},
        {"works-without-words", 4, warning, Needs::runner, "servicerunner works without arguments",
         "the bare call ended with 'unbound variable' instead of the help text, which must exit 0",
         "write ${1:-help} and 'shift || true'", works_without_words},
        {"removal-ends-containers", 4, error, Needs::runner, "removal ends the service",
         "a database that is killed instead of stopped repairs itself for an hour at the next "
         "install",
         "docker stop \"$SERVICENAME\" and docker rm", removal_ends_containers},
        {"update-changes-containers", 4, error, Needs::runner, "an update starts the new image",
         "an update said success and the old container ran on: \"pull successful\" with nothing "
         "changed is a complaint about other tools",
         "remove the container in updatestart, start it in updateend", update_changes_containers},
        {"arguments-reach-program", 4, error, Needs::image,
         "ENTRYPOINT runs a command that is given to the image",
         "the contract allows an entrypoint only so: enter, utils_import and selftest start "
         "programs in the image",
         "ENTRYPOINT [\"/bin/sh\", \"-c\", \"exec \\\"$@\\\"\", \"--\"]", arguments_reach_program},
        {"shell-to-enter", 4, error, Needs::runner, "the image has the shell that 'enter' starts",
         "a missing bash showed up as an unclear message of docker, when somebody had to look "
         "into a broken service",
         "start /bin/sh, or add bash to the image", shell_to_enter},
        {"commands-kept", 4, warning, Needs::earlier, "no command of the earlier release is gone",
         "timers and playbooks call it: they fail on the night after the update",
         "keep the name, and say in it what to call instead", commands_kept},
        {"version-kept", 4, error, Needs::earlier, "VERSION does not go back",
         "the hooks of version 2 are not called any more, and the service starts without them",
         "keep VERSION=2", version_kept},
    };
}

}  // namespace drunner
