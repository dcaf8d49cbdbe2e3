#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"empty", 0, nullptr, "make missing volumes anew, empty: their data is lost"},
    OptionRow{"move", 0, nullptr, "bind the service to the engine that --host names"},
};

Answer run(const Invocation& invocation) {
    const auto& words = invocation.arguments.words;
    const ServiceName name(words[0]);
    RecoverRequest request;
    if (words.size() > 1) {
        request.image = ImageReference(words[1]);
    }
    request.empty = invocation.arguments.has("empty");
    request.move_host = invocation.arguments.has("move");
    const Outcome outcome = recover(invocation.machine_of(name), name, request);
    const bool changed = outcome == Outcome::changed;
    return {exit_code(outcome),
            changed ? "recovered '" + name.text() + "'\n" : "'" + name.text() + "' is whole\n",
            nlohmann::json{{"command", "recover"}, {"service", name.text()}, {"changed", changed}}
                .dump()};
}

}  // namespace

constinit const Command recover_command{
    "recover",
    "SERVICE [IMAGE]",
    "finish or undo what was interrupted; rebuild a broken installation around its volumes",
    "0 recovered, 3 whole already, 1 failed, as before",
    options,
    1,
    2,
    false,
    run};

}  // namespace drunner
