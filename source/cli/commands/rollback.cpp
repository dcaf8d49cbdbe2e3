#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"data", 0, nullptr, "with the data that the release was left with"},
    accept_scripts_row,
};

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const bool data = invocation.arguments.has("data");
    const RollbackResult result = rollback(invocation.machine_of(name), name, {data});
    const bool changed = result.outcome == Outcome::changed;
    const Release& release = result.manifest.release();
    std::string text = changed ? "rolled '" + name.text() + "' back to the release of " +
                                     release.installed_at + (data ? ", with its data" : "") + "\n"
                               : "'" + name.text() + "' has no release to go back to\n";
    for (const std::string& change : result.changes) {
        text += "  " + change + "\n";
    }
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "rollback"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"data", changed && data},
                           {"release", release.number},
                           {"reference", release.reference},
                           {"image_id", release.image_id},
                           {"image_digest", release.image_digest},
                           {"changes", result.changes}}
                .dump()};
}

}  // namespace

constinit const Command rollback_command{
    "rollback",
    "SERVICE",
    "go back to the release before the last update",
    "0 rolled back, 3 there is none to go back to, 1 failed, as before",
    options,
    1,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
