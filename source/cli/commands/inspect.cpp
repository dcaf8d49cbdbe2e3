#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/condition_document.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const ServiceCondition condition = examine(invocation.machine_of(name), name);
    const std::string document = condition_document("inspect", condition);
    return {condition.whole() ? ExitCode::done : ExitCode::error,
            nlohmann::json::parse(document).dump(2) + "\n", document};
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
                                        run};

}  // namespace drunner
