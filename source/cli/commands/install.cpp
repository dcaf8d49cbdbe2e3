#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"pull", 0, "WORD", "auto, always, missing or never; kept for this service"},
    OptionRow{"set", 0, "NAME=VALUE", "a setting of the service; may be repeated"},
    accept_scripts_row,
};

Answer run(const Invocation& invocation) {
    const auto& words = invocation.arguments.words;
    InstallRequest request{ImageReference(words[0]),
                           {},
                           pull_option(invocation.arguments),
                           assignments_of(invocation.arguments.values("set"))};
    request.name =
        words.size() > 1 ? ServiceName(words[1]) : ServiceName(request.image.last_part());
    const InstallResult result = install(invocation.machine_of(*request.name), request);
    const Release& release = result.manifest.release();
    const std::string name = result.manifest.name.text();
    return {exit_code(result.outcome),
            result.outcome == Outcome::changed
                ? "installed '" + name + "' from '" + release.reference + "'\n"
                : "'" + name + "' is installed from '" + release.reference + "' already\n",
            nlohmann::json{{"command", "install"},
                           {"service", name},
                           {"changed", result.outcome == Outcome::changed},
                           {"reference", release.reference},
                           {"image_id", release.image_id},
                           {"image_digest", release.image_digest},
                           {"launcher", result.manifest.launcher}}
                .dump()};
}

}  // namespace

constinit const Command install_command{
    "install",
    "IMAGE [SERVICE]",
    "install a service from an image",
    "0 installed, 3 installed from the same reference already, 1 anything else, nothing is left",
    options,
    1,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
