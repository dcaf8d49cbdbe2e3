#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"purge", 0, nullptr, "keep no final backup: the data is gone at once"},
};

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const RemovalResult result =
        obliterate(invocation.machine_of(name), name, {invocation.arguments.has("purge")});
    const bool changed = result.outcome == Outcome::changed;
    std::string text = changed ? "obliterated '" + name.text() + "'\n"
                               : "there is no trace of '" + name.text() + "'\n";
    if (!result.volumes.empty()) {
        text += "removed with its data: " + join(result.volumes, " ") + "\n";
    }
    if (!result.final_backup.empty()) {
        text +=
            "final backup: " + result.final_backup + " (drunner undelete " + name.text() + ")\n";
    }
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "obliterate"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"volumes", result.volumes},
                           {"final_backup", result.final_backup}}
                .dump()};
}

}  // namespace

constinit const Command obliterate_command{
    "obliterate",
    "SERVICE",
    "remove a service with all its data; a final backup is kept for undelete",
    "0 removed, 3 no trace of it, 1 something could not be removed, named",
    options,
    1,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
