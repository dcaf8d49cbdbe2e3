#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"names", 0, nullptr, "names only, one a line; asks no engine"},
    OptionRow{"all", 0, nullptr, "also the volumes of services that were uninstalled"},
};

// A volume that an uninstall kept is old from when it was made.
std::string left_text(const std::vector<LeftVolume>& volumes) {
    std::size_t service_width = 7;
    std::size_t name_width = 6;
    for (const LeftVolume& volume : volumes) {
        service_width = std::max(service_width, volume.service.text().size());
        name_width = std::max(name_width, printable(volume.name).size());
    }
    std::string text = volumes.empty()
                           ? std::string()
                           : fmt::format("{:<{}}  {:<{}}  {:>10}  {}\n", "LEFT BY", service_width,
                                         "VOLUME", name_width, "SIZE", "MADE");
    for (const LeftVolume& volume : volumes) {
        text += fmt::format("{:<{}}  {:<{}}  {:>10}  {}\n", volume.service.text(), service_width,
                            printable(volume.name), name_width,
                            volume.size ? human_size(*volume.size) : "unknown",
                            printable(volume.created_at));
    }
    return text;
}

nlohmann::json left_document(const std::vector<LeftVolume>& volumes) {
    nlohmann::json rows = nlohmann::json::array();
    for (const LeftVolume& volume : volumes) {
        rows.push_back({{"service", volume.service.text()},
                        {"volume", volume.name},
                        {"path", volume.path},
                        {"created_at", volume.created_at},
                        {"size", volume.size ? nlohmann::json(*volume.size) : nlohmann::json()}});
    }
    return rows;
}

Answer run(const Invocation& invocation) {
    Machine& machine = invocation.machine();
    std::string text;
    const bool with_left = invocation.arguments.has("all");
    if (invocation.arguments.has("names")) {
        if (with_left) {
            throw Error(ErrorKind::usage, "--names and --all exclude each other",
                        "drunner list --all");
        }
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
    nlohmann::json document{{"command", "list"}, {"services", rows}};
    if (with_left) {
        const std::vector<LeftVolume> left = list_left_volumes(machine);
        text += left_text(left);
        document["left"] = left_document(left);
    }
    return {ExitCode::done, text,
            document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command list_command{
    "list", "",  "the installed services", "0 answered, also where there is none", options, 0, 0,
    false,  run, CheckMode::reads_only};

}  // namespace drunner
