#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "check/rules.hpp"
#include "core/text.hpp"
#include "service/service_config.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool is_script(const std::string& name, const ImageFile& file) {
    return name == "servicerunner" || name.ends_with(".sh") || file.content.starts_with("#!");
}

template <typename Look>
Founds in_script_files(const Subject& subject, const Look& look) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        if (is_script(name, file)) {
            if (auto one = look(file.content)) {
                found.push_back({"'" + printable(name) + "' " + one->first, name, one->second});
            }
        }
    }
    return found;
}

using Place = std::optional<std::pair<std::string, int>>;

int line_of(std::string_view text, std::size_t at) {
    return 1 + static_cast<int>(
                   std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

Founds small_enough(const Subject& subject) {
    return in_script_files(subject, [](const std::string& text) -> Place {
        if (text.size() <= largest_script) {
            return std::nullopt;
        }
        return {{"has " + human_size(text.size()) + ", more than anybody reads", 0}};
    });
}

Founds unix_lines(const Subject& subject) {
    return in_script_files(subject, [](const std::string& text) -> Place {
        const std::size_t at = text.find("\r\n");
        if (at == std::string::npos) {
            return std::nullopt;
        }
        return {{"has lines that end with a carriage return", line_of(text, at)}};
    });
}

Founds no_byte_order_mark(const Subject& subject) {
    return in_script_files(subject, [](const std::string& text) -> Place {
        if (!text.starts_with(byte_order_mark)) {
            return std::nullopt;
        }
        return {{"begins with a byte order mark", 1}};
    });
}

Founds no_null_byte(const Subject& subject) {
    return in_script_files(subject, [](const std::string& text) -> Place {
        const std::size_t at = text.find('\0');
        if (at == std::string::npos) {
            return std::nullopt;
        }
        return {{"has a NUL byte", line_of(text, at)}};
    });
}

// What servicerunner's first line names, in the words of interpreter_of.
Founds about_interpreter(const Subject& subject,
                         Message (*look)(const std::vector<std::string>& words)) {
    const ImageFile* runner = subject.find_file("servicerunner");
    if (runner == nullptr) {
        return {};
    }
    const std::vector<std::string> words = interpreter_of(runner->content);
    if (words.empty()) {
        return {};
    }
    if (const Message message = look(words)) {
        return {{*message, "servicerunner", 1}};
    }
    return {};
}

Message not_bash(const std::vector<std::string>& words) {
    const bool env = words[0].ends_with("/env");
    const std::string& program = env && words.size() > 1 ? words[1] : words[0];
    const std::string name = program.substr(program.find_last_of('/') + 1);
    if (name != "sh" && name != "dash" && name != "ash") {
        return std::nullopt;
    }
    return "servicerunner is run by " + printable(name) + ", which knows no arrays";
}

Message not_everywhere(const std::vector<std::string>& words) {
    constexpr std::array<std::string_view, 6> everywhere{
        "/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/usr/bin/env", "/bin/env"};
    if (std::find(everywhere.begin(), everywhere.end(), words[0]) != everywhere.end()) {
        return std::nullopt;
    }
    return "servicerunner is run by '" + printable(words[0]) + "', which hosts may not have";
}

Message too_many_words(const std::vector<std::string>& words) {
    const bool split = words.size() > 1 && (words[1] == "-S" || words[1].starts_with("--split"));
    if (words.size() < 3 || split) {
        return std::nullopt;
    }
    return "the first line of servicerunner has more than one argument";
}

Founds remarks(const std::vector<ScriptRemark>& all, ScriptRemark::Weight weight) {
    Founds found;
    for (const ScriptRemark& one : all) {
        if (one.weight == weight) {
            found.push_back({printable(one.text), one.file, one.line});
        }
    }
    return found;
}

Founds config_is_data(const Subject& subject) {
    const ImageFile* file = subject.find_file("servicecfg.sh");
    if (file == nullptr || !subject.facts.config_problem.empty()) {
        return {};
    }
    const ParsedConfig parsed = parse_service_config(file->content);
    if (parsed.config) {
        return {};
    }
    return {{"needs bash: '" + printable(parsed.bash_text.substr(0, 80)) + "'", "servicecfg.sh",
             parsed.bash_line}};
}

Founds config_names_known(const Subject& subject) {
    constexpr std::array<std::string_view, 8> known{"VOLUMES", "EXTRACONTAINERS", "VERSION",
                                                    "HOOKS",   "SELFTEST",        "SETTINGS",
                                                    "AFTER",   "BACKUP_EXCLUDE"};
    const std::vector<std::string> names(known.begin(), known.end());
    Founds found;
    for (const Script& script : subject.scripts()) {
        if (script.name != "servicecfg.sh") {
            continue;
        }
        for (const ShellAssignment& one : script.text.assignments()) {
            if (std::find(known.begin(), known.end(), one.name) != known.end()) {
                continue;
            }
            const std::string meant = nearest(one.name, names);
            if (!meant.empty()) {
                found.push_back({"'" + printable(one.name) + "' is ignored; '" + meant +
                                     "' is what drunner reads",
                                 script.name, one.line});
            }
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> script_file_rules() {
    using enum Severity;
    using Weight = ScriptRemark::Weight;
    return {
        {"script-size", 2, error, Needs::files, "scripts are small enough to be read",
         "what runs as root must be read by a person before; the other rules pass over a script "
         "of this size, so nothing is known of it",
         "move data into other files, or into the image", small_enough},
        {"bash-syntax", 2, error, Needs::syntax, "bash can read the scripts",
         "a syntax error below the first line shows when the line is reached: at the first backup, "
         "or in the middle of an update",
         "bash -n drunner/servicerunner",
         [](const Subject& subject) { return remarks(*subject.facts.syntax, Weight::error); }},
        {"shellcheck-errors", 2, error, Needs::lint, "shellcheck finds no error",
         "what shellcheck calls an error does something else than it says, every time",
         "shellcheck drunner/servicerunner",
         [](const Subject& subject) { return remarks(*subject.facts.lint, Weight::error); }},
        {"shellcheck-warnings", 2, warning, Needs::lint, "shellcheck finds nothing to warn of",
         "most of the old tool's failures with odd names, spaces and empty values are shellcheck "
         "warnings",
         "shellcheck drunner/servicerunner",
         [](const Subject& subject) { return remarks(*subject.facts.lint, Weight::warning); }},
        {"shellcheck-notes", 2, note, Needs::lint, "shellcheck has nothing to add",
         "unquoted words and useless programs are how a script breaks on the next host",
         "shellcheck drunner/servicerunner",
         [](const Subject& subject) { return remarks(*subject.facts.lint, Weight::note); }},
        {"unix-line-ends", 2, error, Needs::files, "scripts have Unix line ends",
         "bash takes the carriage return as part of the last word: \"command not found\" at a line "
         "that looks right, as in many images made on Windows",
         "sed -i 's/\\r$//' drunner/*", unix_lines},
        {"no-byte-order-mark", 2, error, Needs::files, "scripts begin with their first character",
         "bash looks for a command whose name begins with the mark", "save it as UTF-8 without BOM",
         no_byte_order_mark},
        {"no-null-byte", 2, error, Needs::files, "scripts are text",
         "bash drops NUL bytes, so that it runs something else than a person sees",
         "save it as UTF-8", no_null_byte},
        {"run-by-bash", 2, error, Needs::files, "servicerunner is run by bash",
         "variables.sh holds arrays: Debian's sh stops at them with a syntax error, where sh is "
         "bash it works, so that it fails on the next host only",
         "begin it with #!/usr/bin/env bash",
         [](const Subject& subject) { return about_interpreter(subject, not_bash); }},
        {"interpreter-everywhere", 2, error, Needs::files,
         "servicerunner's interpreter is on every host",
         "servicerunner runs on the host, not in the image: an interpreter that only the image has "
         "ends the install with \"no such file\"",
         "begin it with #!/usr/bin/env bash",
         [](const Subject& subject) { return about_interpreter(subject, not_everywhere); }},
        {"interpreter-arguments", 2, error, Needs::files, "the first line has one argument at most",
         "Linux hands everything behind the interpreter over as one word: env looks for a program "
         "called 'bash -e'",
         "use 'set -euo pipefail' in the script",
         [](const Subject& subject) { return about_interpreter(subject, too_many_words); }},
        {"config-is-data", 2, warning, Needs::files, "servicecfg.sh is read without running it",
         "the old tool ran servicecfg.sh as root at every command; drunner starts a container of "
         "the image for it, which needs bash there and takes its time",
         "write plain assignments: VOLUMES=(\"/data\")", config_is_data},
        {"config-names-known", 2, error, Needs::files, "servicecfg.sh misspells no name",
         "unknown assignments are ignored, as images of every age need it: VOLUME= instead of "
         "VOLUMES= is a service whose data is gone at the first update",
         "use the name that the message tells", config_names_known},
    };
}

}  // namespace drunner
