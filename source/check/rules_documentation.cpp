#include <algorithm>
#include <set>

#include "check/rules.hpp"
#include "core/text.hpp"
#include "service/script_runner.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Commands = std::vector<const ShellCommand*>;

constexpr const char* runner_file = "servicerunner";
constexpr const char* config_file = "servicecfg.sh";

bool prints(const ShellCommand& command) {
    const std::string name = command.name();
    return name == "echo" || name == "printf" || name == "cat" || name == "dockerrun" ||
           name == "docker" || name == "die";
}

// Everything that 'help' prints, as far as it stands in the script.
std::string help_text_of(const Script& runner, const Commands& commands) {
    std::string text;
    for (const ShellCommand* one : commands) {
        for (const ShellWord& word : one->words) {
            text += word.value + "\n";
        }
        for (const std::size_t index : one->here_texts) {
            text += runner.text.here_texts[index];
        }
    }
    return text;
}

Founds help_prints(const Subject& subject) {
    const auto commands = verb_commands(subject.runner()->text, "help");
    if (!commands || std::any_of(commands->begin(), commands->end(),
                                 [](const ShellCommand* one) { return prints(*one); })) {
        return {};
    }
    return {{"'help' prints nothing", runner_file, 0}};
}

// The text that 'help' prints, empty where it comes from elsewhere: a file, a container.
std::string own_help(const Subject& subject) {
    const auto commands = verb_commands(subject.runner()->text, "help");
    if (!commands) {
        return {};
    }
    const bool elsewhere =
        std::any_of(commands->begin(), commands->end(), [](const ShellCommand* one) {
            const std::string name = one->name();
            return name == "dockerrun" || name == "docker" ||
                   (name == "cat" && one->here_texts.empty());
        });
    return elsewhere ? std::string() : help_text_of(*subject.runner(), *commands);
}

bool is_drunners_word(const std::string& verb) {
    static const std::set<std::string> words = [] {
        std::set<std::string> all{"help", "enter",         "--help",   "-h",
                                  "",     "restore_start", "enter_end"};
        for (const Hook hook :
             {Hook::install, Hook::update_start, Hook::update_end, Hook::backup_start,
              Hook::backup_end, Hook::restore, Hook::uninstall, Hook::obliterate, Hook::enter_start,
              Hook::status_start, Hook::status_end, Hook::command_start, Hook::command_end,
              Hook::selftest, Hook::check_secret}) {
            all.insert(hook_name(hook, 1));
            all.insert(hook_name(hook, 2));
        }
        return all;
    }();
    return words.contains(verb);
}

Founds help_names_commands(const Subject& subject) {
    const std::string help = own_help(subject);
    if (help.empty()) {
        return {};
    }
    Founds found;
    for (const std::string& verb : verbs_of(subject.runner()->text)) {
        if (!is_drunners_word(verb) && help.find(verb) == std::string::npos) {
            found.push_back({"'help' does not tell of '" + printable(verb) + "'", runner_file, 0});
        }
    }
    return found;
}

Founds help_names_service(const Subject& subject) {
    const std::string help = own_help(subject);
    if (help.empty() || help.find("SERVICENAME") != std::string::npos ||
        help.find("$0") != std::string::npos || help.find("$(basename") != std::string::npos) {
        return {};
    }
    return {{"'help' does not use SERVICENAME", runner_file, 0}};
}

Founds error_on_stderr(const Subject& subject) {
    Founds found;
    for (const ShellFunction& one : subject.runner()->text.functions) {
        if (one.name != "die" && one.name != "error" && one.name != "fail") {
            continue;
        }
        const auto& commands = subject.runner()->text.commands;
        for (std::size_t at = one.body.first; at < one.body.last; ++at) {
            const std::string name = commands[at].name();
            const bool redirected =
                std::any_of(commands[at].redirections.begin(), commands[at].redirections.end(),
                            [](const ShellRedirection& redirection) {
                                return redirection.target.value == "2" ||
                                       redirection.target.value == "/dev/stderr";
                            });
            if ((name == "echo" || name == "printf" || name == "cat") && !redirected) {
                found.push_back(
                    {"'" + one.name + "' writes to stdout", runner_file, commands[at].line});
            }
        }
    }
    return found;
}

Founds labelled(const Subject& subject, const std::string& key) {
    const auto found = subject.facts.labels.find("org.opencontainers.image." + key);
    if (found != subject.facts.labels.end() && !trim(found->second).empty()) {
        return {};
    }
    return {{"the image has no label org.opencontainers.image." + key, "", 0}};
}

Founds settings_told(const Subject& subject) {
    Founds found;
    for (const SettingDeclaration& setting : subject.facts.config->settings) {
        if (trim(setting.text).empty()) {
            found.push_back({"the setting '" + printable(setting.name) + "' says not what it is",
                             config_file, 0});
        }
    }
    return found;
}

Founds required_without_default(const Subject& subject) {
    Founds found;
    for (const SettingDeclaration& setting : subject.facts.config->settings) {
        if (setting.required && !setting.default_value.empty()) {
            found.push_back(
                {"the setting '" + printable(setting.name) + "' is required and has a default",
                 config_file, 0});
        }
    }
    return found;
}

Founds settings_used(const Subject& subject) {
    Founds found;
    for (const SettingDeclaration& setting : subject.facts.config->settings) {
        const bool used = std::any_of(
            subject.facts.files->begin(), subject.facts.files->end(), [&](const auto& entry) {
                return entry.first != config_file &&
                       entry.second.content.find(setting.name) != std::string::npos;
            });
        if (!used) {
            found.push_back(
                {"no script uses the setting '" + printable(setting.name) + "'", config_file, 0});
        }
    }
    return found;
}

Founds context_has_readme(const Subject& subject) {
    const std::set<std::string>& names = subject.facts.context->names;
    for (const char* name : {"README.md", "README", "README.txt", "README.rst"}) {
        if (names.contains(name)) {
            return {};
        }
    }
    return {{"there is no README beside the Dockerfile", "", 0}};
}

}  // namespace

std::vector<Rule> documentation_rules() {
    using enum Severity;
    return {
        {"help-prints", 7, error, Needs::runner, "'help' prints something",
         "an operator who typed the service's name saw nothing and an exit code of 0",
         "print the service's commands to stderr", help_prints},
        {"help-names-commands", 7, warning, Needs::runner, "'help' tells of every command",
         "commands that are in no help are found by reading the script: the complaint about "
         "options called OPT1 and OPT2",
         "add a line for it", help_names_commands},
        {"help-names-service", 7, warning, Needs::runner, "'help' calls the service by its name",
         "installed or restored under another name, the help text tells commands that act on "
         "somebody else's service",
         "write $SERVICENAME in the text", help_names_service},
        {"errors-on-stderr", 7, warning, Needs::runner, "errors go to stderr",
         "library functions of the old scripts wrote errors into dumps: 'S dump > file' kept them",
         "echo \"...\" >&2", error_on_stderr},
        {"label-source", 7, warning, Needs::image, "a label says where the image comes from",
         "an installation must remember what it is made of: who finds a broken service five years "
         "later has nothing else",
         "LABEL org.opencontainers.image.source=https://...",
         [](const Subject& subject) { return labelled(subject, "source"); }},
        {"label-version", 7, warning, Needs::image, "a label says which version it is",
         "two images of one tag cannot be told apart in 'drunner inspect' and in bug reports",
         "LABEL org.opencontainers.image.version=1.2.3",
         [](const Subject& subject) { return labelled(subject, "version"); }},
        {"label-description", 7, note, Needs::image, "a label says what the image is",
         "lists of images show names only, which say little",
         "LABEL org.opencontainers.image.description=\"...\"",
         [](const Subject& subject) { return labelled(subject, "description"); }},
        {"label-licenses", 7, note, Needs::image, "a label says what may be done with it",
         "an image that nobody may pass on cannot go into a backup that another host restores",
         "LABEL org.opencontainers.image.licenses=MIT",
         [](const Subject& subject) { return labelled(subject, "licenses"); }},
        {"settings-told", 7, error, Needs::config, "settings say what they are for",
         "the operator sees a name and must read the script to know what to give",
         "write NAME|required|default|what it is", settings_told},
        {"required-without-default", 7, warning, Needs::config, "a required setting has no default",
         "a missing required setting stopped every command of the old tool; one with a default is "
         "never missing, so that nobody is told of it",
         "remove one of the two", required_without_default},
        {"settings-used", 7, warning, Needs::config, "every setting is used",
         "the operator changes it and nothing happens",
         "use \"$NAME\" in servicerunner, or take it out of SETTINGS", settings_used},
        {"readme", 7, note, Needs::context, "the sources have a README",
         "half of the 2016 images had none, and the general documentation described other files",
         "add README.md", context_has_readme},
    };
}

}  // namespace drunner
