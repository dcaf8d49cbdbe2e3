#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const CleanResult result = clean(invocation.machine());
    std::string text;
    for (const std::string& removed : result.removed) {
        text += "removed " + removed + "\n";
    }
    if (result.removed.empty()) {
        text = "nothing to remove\n";
    }
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "clean"},
                           {"changed", result.outcome == Outcome::changed},
                           {"removed", result.removed}}
                .dump()};
}

}  // namespace

constinit const Command clean_command{"clean",
                                      "",
                                      "remove what nothing uses any more",
                                      "0 removed something, 3 there was nothing, 1 failed",
                                      {},
                                      0,
                                      0,
                                      false,
                                      run,
                                      CheckMode::foretold};

}  // namespace drunner
