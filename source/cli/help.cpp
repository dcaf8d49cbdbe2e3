#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.hpp"

namespace drunner {
namespace {

std::string spelling(const OptionRow& row) {
    std::string text = row.letter == 0 ? "    " : fmt::format("-{}, ", row.letter);
    text += fmt::format("--{}", row.name);
    if (row.value != nullptr) {
        text += fmt::format(" {}", row.value);
    }
    return text;
}

std::string option_lines(std::span<const OptionRow> rows) {
    std::string text;
    for (const OptionRow& row : rows) {
        text += fmt::format("  {:<26} {}\n", spelling(row), row.help);
    }
    return text;
}

}  // namespace

std::string help_text() {
    std::string text =
        "drunner turns container images into services of this host.\n\n"
        "usage: drunner [OPTIONS] COMMAND [ARGUMENTS]\n"
        "       SERVICE [COMMAND [ARGUMENTS]]      an installed service's own commands\n\n"
        "commands:\n";
    for (const Command& command : commands()) {
        text += fmt::format("  {:<11} {}\n", command.name, command.summary);
    }
    text += "\noptions of every command:\n" + option_lines(global_options());
    text += fmt::format("  {:<26} {}\n", "    --version", "say which drunner this is");
    text +=
        "\nexit codes: 0 done, 1 error, 3 no change\n"
        "'drunner help COMMAND' says more about one.\n";
    return text;
}

std::string help_text(const Command& command) {
    std::string text = fmt::format("usage: drunner {} {}\n\n{}\n", command.name, command.synopsis,
                                   command.summary);
    if (!command.options.empty()) {
        text += "\noptions:\n" + option_lines(command.options);
    }
    text += "\noptions of every command:\n" + option_lines(global_options());
    text += fmt::format("\nexit codes: {}\n", command.exit_codes);
    return text;
}

}  // namespace drunner
