#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"names", 0, nullptr, "names only, one a line; asks no engine"},
};

Answer run(const Invocation& invocation) {
    Machine& machine = invocation.machine();
    std::string text;
    if (invocation.arguments.has("names")) {
        nlohmann::json names = nlohmann::json::array();
        for (const ServiceName& name : Catalog(machine.paths).names()) {
            text += name.text() + "\n";
            names.push_back(name.text());
        }
        return {ExitCode::done, text, nlohmann::json{{"command", "list"}, {"names", names}}.dump()};
    }
    const std::vector<ListedService> services = list_services(machine);
    std::size_t width = 7;
    for (const ListedService& service : services) {
        width = std::max(width, service.name.text().size());
    }
    if (!services.empty()) {
        text = fmt::format("{:<{}}  {:<10}  {}\n", "SERVICE", width, "STATE", "IMAGE");
    }
    nlohmann::json rows = nlohmann::json::array();
    for (const ListedService& service : services) {
        text += fmt::format("{:<{}}  {:<10}  {}\n", service.name.text(), width, service.state,
                            printable(service.image));
        nlohmann::json row{{"service", service.name.text()},   {"state", service.state},
                           {"reference", service.image},       {"running", service.running},
                           {"updated_at", service.updated_at}, {"held", service.hold.has_value()}};
        if (service.hold) {
            row["hold"] = {{"since", service.hold->since}, {"until", hold_end(*service.hold)}};
        }
        rows.push_back(std::move(row));
    }
    return {ExitCode::done, text, nlohmann::json{{"command", "list"}, {"services", rows}}.dump()};
}

}  // namespace

constinit const Command list_command{
    "list", "",  "the installed services", "0 answered, also where there is none", options, 0, 0,
    false,  run, CheckMode::reads_only};

}  // namespace drunner
