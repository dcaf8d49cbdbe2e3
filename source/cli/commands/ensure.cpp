#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "container/watch.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const std::vector<WatchAction> actions = ensure_containers(invocation.machine().engine);
    std::string text;
    nlohmann::json started = nlohmann::json::array();
    std::vector<std::string> wrong;
    for (const WatchAction& action : actions) {
        if (action.kind == WatchAction::Kind::cannot_start) {
            wrong.push_back(action.text());
            continue;
        }
        text += action.text() + "\n";
        started.push_back(action.container);
    }
    if (!wrong.empty()) {
        throw Error(ErrorKind::engine_refused, join(wrong, "; "), "docker ps --all");
    }
    return {started.empty() ? ExitCode::no_change : ExitCode::done, text,
            nlohmann::json{{"command", "ensure"}, {"started", started}}.dump()};
}

}  // namespace

constinit const Command ensure_command{
    "ensure",
    "",
    "start every watched container that is wanted and does not run, for boot",
    "0 started some, 3 all run, 1 one could not be started",
    {},
    0,
    0,
    false,
    run};

}  // namespace drunner
