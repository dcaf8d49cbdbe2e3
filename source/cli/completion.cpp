#include "cli/completion.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "service/templates.hpp"

namespace drunner {
namespace {

bool takes_service_first(const Command& command) {
    return command.synopsis.starts_with("SERVICE");
}

// Command names, separated; all, or those whose first word is a service.
std::string command_names(std::string_view separator, bool on_services) {
    std::vector<std::string> names;
    for (const Command& command : commands()) {
        if (!on_services || takes_service_first(command)) {
            names.emplace_back(command.name);
        }
    }
    return join(names, separator);
}

std::string summary_of(const Command& command) {
    std::string summary(command.summary);
    std::replace(summary.begin(), summary.end(), '\'', ' ');
    return summary;
}

// One branch of a shell's case for each command: "install) options='--pull ...' ;;".
std::string option_cases() {
    std::vector<std::string> cases;
    for (const Command& command : commands()) {
        std::vector<std::string> words;
        for (const auto rows : {command.options, global_options()}) {
            for (const OptionRow& row : rows) {
                words.push_back(std::string("--") + row.name);
            }
        }
        cases.push_back(fmt::format("        {}) options='{}' ;;", command.name, join(words, " ")));
    }
    return join(cases, "\n");
}

std::string described_commands() {
    std::vector<std::string> rows;
    for (const Command& command : commands()) {
        rows.push_back(fmt::format("        '{}:{}'", command.name, summary_of(command)));
    }
    return join(rows, "\n");
}

std::string fish_option(const OptionRow& row, std::string_view condition) {
    return fmt::format("complete -c drunner{} -l {} -d '{}'{}", condition, row.name, row.help,
                       row.value == nullptr ? "" : " -r");
}

std::string fish_rows() {
    std::vector<std::string> rows;
    for (const Command& command : commands()) {
        const std::string after = fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name);
        rows.push_back(fmt::format("complete -c drunner -n __fish_use_subcommand -a {} -d '{}'",
                                   command.name, summary_of(command)));
        for (const OptionRow& row : command.options) {
            rows.push_back(fish_option(row, after));
        }
        if (takes_service_first(command)) {
            rows.push_back(fmt::format(
                "complete -c drunner{} -a '(drunner list --names 2>/dev/null)'", after));
        }
    }
    for (const OptionRow& row : global_options()) {
        rows.push_back(fish_option(row, ""));
    }
    return join(rows, "\n");
}

}  // namespace

std::string completion_script(std::string_view shell) {
    if (shell != "bash" && shell != "zsh" && shell != "fish") {
        throw Error(
            ErrorKind::usage,
            "there is no completion for '" + printable(shell) + "', only for bash, zsh, fish",
            "drunner completion bash");
    }
    std::string text = template_file("completion/" + std::string(shell));
    text = filled(std::move(text), "@COMMANDS@", command_names(" ", false));
    text = filled(std::move(text), "@ON_SERVICES@", command_names("|", true));
    text = filled(std::move(text), "@OPTIONS@", option_cases());
    text = filled(std::move(text), "@DESCRIBED@", described_commands());
    return filled(std::move(text), "@ROWS@", fish_rows());
}

}  // namespace drunner
