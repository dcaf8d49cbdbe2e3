#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/settings_table.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const std::vector<SettingState> settings = settings_of(invocation.machine_of(name), name);
    return {ExitCode::done,
            settings.empty() ? "'" + name.text() + "' declares no settings\n"
                             : settings_table(settings),
            nlohmann::json{{"command", "settings"},
                           {"service", name.text()},
                           {"settings", settings_list(settings)}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command settings_command{"settings",
                                         "SERVICE",
                                         "the settings of a service: values, types, meaning",
                                         "0 answered, 1 there is no such service",
                                         {},
                                         1,
                                         1,
                                         false,
                                         run,
                                         CheckMode::reads_only};

}  // namespace drunner
