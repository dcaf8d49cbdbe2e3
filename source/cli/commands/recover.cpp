#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"all", 0, nullptr, "finish or undo what was interrupted, on every service"},
    OptionRow{"empty", 0, nullptr, "make missing volumes anew, empty: their data is lost"},
    OptionRow{"move", 0, nullptr, "bind the service to the engine that --host names"},
    accept_scripts_row,
};

Answer run_all(const Invocation& invocation) {
    const RecoverAllResult result = recover_all(invocation.machine());
    std::string text;
    for (const std::string& name : result.recovered) {
        text += "recovered '" + name + "'\n";
    }
    if (!result.failures.empty()) {
        throw Error(ErrorKind::unfinished, "cannot recover " + join(result.failures, "; "),
                    "drunner recover --all");
    }
    if (result.recovered.empty()) {
        text = "nothing was interrupted\n";
    }
    return {result.recovered.empty() ? ExitCode::no_change : ExitCode::done, text,
            nlohmann::json{{"command", "recover"},
                           {"changed", !result.recovered.empty()},
                           {"recovered", result.recovered}}
                .dump()};
}

Answer run(const Invocation& invocation) {
    const auto& words = invocation.arguments.words;
    if (invocation.arguments.has("all")) {
        if (!words.empty()) {
            throw Error(ErrorKind::usage, "--all and '" + words[0] + "' exclude each other",
                        "drunner recover --all");
        }
        return run_all(invocation);
    }
    if (words.empty()) {
        throw Error(ErrorKind::usage, "'drunner recover' needs SERVICE [IMAGE] or --all",
                    "drunner help recover");
    }
    const ServiceName name(words[0]);
    RecoverRequest request;
    if (words.size() > 1) {
        request.image = ImageReference(words[1]);
    }
    request.empty = invocation.arguments.has("empty");
    request.move_host = invocation.arguments.has("move");
    const Outcome outcome = recover(invocation.machine_of(name), name, request);
    const bool changed = outcome == Outcome::changed;
    return {exit_code(outcome),
            changed ? "recovered '" + name.text() + "'\n" : "'" + name.text() + "' is whole\n",
            nlohmann::json{{"command", "recover"}, {"service", name.text()}, {"changed", changed}}
                .dump()};
}

}  // namespace

constinit const Command recover_command{
    "recover",
    "SERVICE [IMAGE]",
    "finish or undo what was interrupted; rebuild a broken installation around its volumes",
    "0 recovered, 3 whole already, 1 failed, as before",
    options,
    0,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
