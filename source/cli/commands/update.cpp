#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"image", 0, "REFERENCE", "take this reference from now on"},
    OptionRow{"pull", 0, "WORD", "auto, always, missing or never; kept for this service"},
};

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    UpdateRequest request{{}, pull_option(invocation.arguments)};
    if (invocation.arguments.has("image")) {
        request.image = ImageReference(invocation.arguments.value("image"));
    }
    const UpdateResult result = update(invocation.machine_of(name), name, request);
    const bool changed = result.outcome == Outcome::changed;
    std::string text =
        changed ? "updated '" + name.text() + "'\n" : "'" + name.text() + "' is up to date\n";
    for (const std::string& change : result.changes) {
        text += "  " + change + "\n";
    }
    const Release& release = result.manifest.release();
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "update"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"reference", release.reference},
                           {"image_id", release.image_id},
                           {"image_digest", release.image_digest},
                           {"changes", result.changes}}
                .dump()};
}

}  // namespace

constinit const Command update_command{"update",
                                       "SERVICE",
                                       "take the image that the service's reference names now",
                                       "0 updated, 3 nothing changed, 1 failed and rolled back",
                                       options,
                                       1,
                                       1,
                                       false,
                                       run};

}  // namespace drunner
