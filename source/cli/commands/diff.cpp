#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const auto& words = invocation.arguments.words;
    const ServiceName name(words[0]);
    std::optional<ImageReference> image;
    if (words.size() > 1) {
        image.emplace(words[1]);
    }
    const ScriptDiff diff = diff_image(invocation.machine_of(name), name, image);
    nlohmann::json scripts = nlohmann::json::array();
    for (const ChangedScript& script : diff.scripts) {
        scripts.push_back(
            {{"path", script.path}, {"before", script.before}, {"after", script.after}});
    }
    const bool changed = !diff.text.empty();
    const std::string verdict =
        diff.accepted
            ? "the scripts of '" + diff.reference + "' are accepted, sha256 " + diff.digest + "\n"
            : "to accept the scripts of '" + diff.reference + "': drunner trust " + name.text() +
                  " --sha256 " + diff.digest + "\n";
    return {changed ? ExitCode::done : ExitCode::no_change, diff.text + verdict,
            nlohmann::json{{"command", "diff"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"reference", diff.reference},
                           {"image_id", diff.image_id},
                           {"sha256", diff.digest},
                           {"accepted", diff.accepted},
                           {"image_changed", diff.image_changed},
                           {"scripts", scripts},
                           {"diff", diff.text}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command diff_command{
    "diff",
    "SERVICE [IMAGE]",
    "what an update would change in the scripts that run as root, and around them; runs nothing",
    "0 that was told, 3 it would change nothing, 1 failed",
    {},
    1,
    2,
    false,
    run,
    CheckMode::reads_only};

}  // namespace drunner
