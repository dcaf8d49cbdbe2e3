#include "cli/help.hpp"

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    std::string text;
    if (invocation.arguments.words.empty()) {
        text = help_text();
    } else {
        const std::string& word = invocation.arguments.words[0];
        const Command* command = find_command(word);
        if (command == nullptr) {
            throw Error(ErrorKind::usage, "there is no command '" + printable(word) + "'",
                        "drunner help");
        }
        text = help_text(*command);
    }
    return {ExitCode::done, text, nlohmann::json{{"command", "help"}, {"text", text}}.dump()};
}

}  // namespace

constinit const Command help_command{"help",
                                     "[COMMAND]",
                                     "say what drunner or one command does",
                                     "0 said, 1 there is no such command",
                                     {},
                                     0,
                                     1,
                                     false,
                                     run,
                                     CheckMode::reads_only};

}  // namespace drunner
