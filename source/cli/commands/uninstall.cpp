#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const RemovalResult result = uninstall(invocation.machine_of(name), name);
    const bool changed = result.outcome == Outcome::changed;
    std::string text = changed ? "uninstalled '" + name.text() + "'\n"
                               : "there is no service '" + name.text() + "'\n";
    if (!result.volumes.empty()) {
        text += "its data is kept in " + join(result.volumes, " ") + "\n";
    }
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "uninstall"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"volumes", result.volumes}}
                .dump()};
}

}  // namespace

constinit const Command uninstall_command{
    "uninstall",
    "SERVICE",
    "remove a service but keep its volumes",
    "0 removed, 3 not installed and no trace, 1 something could not be removed",
    {},
    1,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
