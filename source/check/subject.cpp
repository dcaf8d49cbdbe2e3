#include "check/subject.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "core/text.hpp"

namespace drunner {
namespace {

bool is_shell(std::string_view program) {
    constexpr std::array<std::string_view, 5> shells{"bash", "sh", "dash", "ksh", "ash"};
    const std::string_view name = program.substr(program.find_last_of('/') + 1);
    return std::find(shells.begin(), shells.end(), name) != shells.end();
}

// The names under which a script knows its first argument: "1" and what that is assigned to.
std::set<std::string> names_of_first_argument(const ShellText& text) {
    std::set<std::string> names{"1"};
    for (const ShellAssignment& one : text.assignments()) {
        if (one.words.size() == 1 && one.words[0].mentions("1")) {
            names.insert(one.name);
        }
    }
    return names;
}

bool expands_any(const ShellWord& word, const std::set<std::string>& names) {
    return std::any_of(word.expansions.begin(), word.expansions.end(),
                       [&](const ShellExpansion& one) { return names.contains(one.name); });
}

// `"$@"`, `"$1"` or `"$COMMAND" "$@"` as a command: the argument is the function's name.
bool calls_its_argument(const ShellText& text) {
    std::set<std::string> names = names_of_first_argument(text);
    names.insert("@");
    return std::any_of(text.commands.begin(), text.commands.end(), [&](const ShellCommand& one) {
        return one.function.empty() && !one.words.empty() && !one.words[0].literal() &&
               expands_any(one.words[0], names);
    });
}

}  // namespace

std::vector<std::string> interpreter_of(std::string_view content) {
    if (!content.starts_with("#!")) {
        return {};
    }
    std::string_view line = content.substr(2, content.find_first_of("\r\n") - 2);
    std::vector<std::string> words;
    for (const std::string& word : split(line, ' ')) {
        for (const std::string& part : split(word, '\t')) {
            if (!part.empty()) {
                words.push_back(part);
            }
        }
    }
    return words;
}

bool is_shell_script(std::string_view name, std::string_view content) {
    if (content.size() > largest_script) {
        return false;
    }
    const std::vector<std::string> interpreter = interpreter_of(content);
    if (interpreter.empty()) {
        return name.ends_with(".sh");
    }
    const bool env = interpreter[0].ends_with("/env");
    for (std::size_t i = env ? 1 : 0; i < interpreter.size(); ++i) {
        if (!interpreter[i].starts_with("-")) {
            return is_shell(interpreter[i]);
        }
    }
    return false;
}

Subject::Subject(const ImageFacts& known, Scripts scripts) : facts(known) {
    if (scripts == Scripts::left || !facts.files) {
        return;
    }
    for (const auto& [name, file] : *facts.files) {
        if (name == "variables.sh" || name == "utils.sh" || !is_shell_script(name, file.content)) {
            continue;
        }
        scripts_.push_back({name, &file, read_shell_text(file.content), {}});
    }
    // Calls point into their script's commands, which stay where they are from here on.
    for (Script& script : scripts_) {
        for (const ShellCommand& command : script.text.commands) {
            if (auto call = docker_call(command)) {
                script.docker.push_back(std::move(*call));
            }
        }
    }
}

const ImageFile* Subject::find_file(std::string_view name) const {
    if (!facts.files) {
        return nullptr;
    }
    const auto found = facts.files->find(std::string(name));
    return found == facts.files->end() ? nullptr : &found->second;
}

const Script* Subject::runner() const {
    const auto found = std::find_if(scripts_.begin(), scripts_.end(),
                                    [](const Script& one) { return one.name == "servicerunner"; });
    return found == scripts_.end() ? nullptr : &*found;
}

std::string Subject::obstacle(Needs needs) const {
    const auto unless = [](bool known, std::string why) { return known ? std::string() : why; };
    switch (needs) {
        case Needs::nothing:
            return {};
        case Needs::files:
            return unless(facts.files.has_value(), "/drunner cannot be read");
        case Needs::config:
            return unless(facts.config.has_value(), "servicecfg.sh cannot be read");
        case Needs::runner:
            return unless(runner() != nullptr, "servicerunner is no shell script");
        case Needs::image:
            return unless(!facts.context, "only the image itself tells");
        case Needs::context:
            return unless(facts.context.has_value(), "only the directory it is built from tells");
        case Needs::extra_images:
            return unless(!facts.extra_images.empty(),
                          "the engine has none of the images in EXTRACONTAINERS");
        case Needs::earlier:
            return unless(facts.earlier.has_value(),
                          "there is no earlier release; --from IMAGE names one");
        case Needs::syntax:
            return unless(facts.syntax.has_value(), facts.syntax_problem);
        case Needs::lint:
            return unless(facts.lint.has_value(), facts.lint_problem);
    }
    return {};
}

std::vector<Found> Subject::in_commands(const Look& look) const {
    std::vector<Found> found;
    for (const Script& script : scripts_) {
        for (const ShellCommand& command : script.text.commands) {
            if (auto message = look(command)) {
                found.push_back({std::move(*message), script.name, command.line});
            }
        }
    }
    return found;
}

std::vector<Found> Subject::in_docker_calls(const DockerLook& look) const {
    std::vector<Found> found;
    for (const Script& script : scripts_) {
        for (const DockerCall& call : script.docker) {
            if (auto message = look(call)) {
                found.push_back({std::move(*message), script.name, call.command->line});
            }
        }
    }
    return found;
}

std::vector<const ShellCase*> dispatches(const ShellText& runner) {
    const std::set<std::string> names = names_of_first_argument(runner);
    std::vector<const ShellCase*> result;
    for (const ShellCase& one : runner.cases) {
        if (expands_any(one.subject, names)) {
            result.push_back(&one);
        }
    }
    return result;
}

std::optional<std::vector<const ShellCommand*>> verb_commands(const ShellText& runner,
                                                              std::string_view verb) {
    for (const ShellCase* one : dispatches(runner)) {
        for (const ShellArm& arm : one->arms) {
            if (std::find(arm.patterns.begin(), arm.patterns.end(), verb) != arm.patterns.end()) {
                return runner.reached_from(arm.body);
            }
        }
    }
    if (const ShellFunction* function = runner.find_function(verb);
        function != nullptr && calls_its_argument(runner)) {
        return runner.reached_from(function->body);
    }
    return std::nullopt;
}

std::vector<std::string> verbs_of(const ShellText& runner) {
    std::vector<std::string> result;
    for (const ShellCase* one : dispatches(runner)) {
        for (const ShellArm& arm : one->arms) {
            for (const std::string& pattern : arm.patterns) {
                if (pattern.find_first_of("*?[$") == std::string::npos && !pattern.empty()) {
                    result.push_back(pattern);
                }
            }
        }
    }
    return result;
}

}  // namespace drunner
