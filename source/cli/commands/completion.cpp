#include "cli/completion.hpp"

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const std::string script = completion_script(invocation.arguments.words[0]);
    return {ExitCode::done, script,
            nlohmann::json{{"command", "completion"}, {"text", script}}.dump()};
}

}  // namespace

constinit const Command completion_command{"completion",
                                           "bash|zsh|fish",
                                           "print the completion script for a shell",
                                           "0 printed, 1 no such shell",
                                           {},
                                           1,
                                           1,
                                           false,
                                           run,
                                           CheckMode::reads_only};

}  // namespace drunner
