#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/condition_document.hpp"
#include "operation/operations.hpp"
#include "service/script_acceptance.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    Machine& machine = invocation.machine_of(name);
    const ServiceCondition condition = examine(machine, name);
    auto document = nlohmann::json::parse(condition_document("inspect", condition));
    document["accepted_scripts"] = nlohmann::json::array();
    for (const ScriptAcceptance& one : ScriptAcceptances(machine.paths).all()) {
        if (one.service == name.text()) {
            document["accepted_scripts"].push_back({{"at", one.at},
                                                    {"sha256", one.digest},
                                                    {"uid", one.caller.uid},
                                                    {"sudo_user", one.caller.sudo_user},
                                                    {"files", one.hashes}});
        }
    }
    return {condition.whole() ? ExitCode::done : ExitCode::error, document.dump(2) + "\n",
            document.dump(-1, ' ', true)};
}

}  // namespace

constinit const Command inspect_command{"inspect",
                                        "SERVICE",
                                        "everything that is known of a service, as JSON",
                                        "0 answered, 1 broken",
                                        {},
                                        1,
                                        1,
                                        false,
                                        run,
                                        CheckMode::reads_only};

}  // namespace drunner
