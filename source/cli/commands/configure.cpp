#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/settings_table.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::size_t most_words = 1000;

constexpr std::array options{
    OptionRow{"clear", 0, "NAME", "back to the default; may be repeated"},
};

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    const std::vector<std::string> words(arguments.words.begin() + 1, arguments.words.end());
    const ConfigureRequest request{assignments_of(words), arguments.values("clear")};
    Machine& machine = invocation.machine_of(name);
    const ConfigureResult result = configure(machine, name, request);
    std::string text = settings_table(result.settings);
    if (!result.missing.empty()) {
        machine.progress.warning("still missing: " + join(result.missing, ", "));
    }
    if (!result.changed.empty()) {
        machine.progress.note("'drunner update " + name.text() +
                              "' lets the service's hooks run with it");
    }
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "configure"},
                           {"service", name.text()},
                           {"changed", result.outcome == Outcome::changed},
                           {"changes", result.changed},
                           {"missing", result.missing},
                           {"settings", settings_list(result.settings)}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command configure_command{
    "configure",
    "SERVICE [NAME=VALUE...]",
    "set what the service declares as its settings",
    "0 changed, 3 everything is set like that, 1 no such setting, or a value of another type",
    options,
    1,
    most_words,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
