#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array own_options{
    OptionRow{"list", 0, nullptr, "the services that can be brought back; asks no engine"},
    OptionRow{"as", 0, "NAME", "bring it back under this name"},
    OptionRow{"image", 0, "REFERENCE", "bring it back onto this image"},
    OptionRow{"partial", 0, nullptr, "go on where backup and image declare different volumes"},
    accept_scripts_row,
};
constexpr auto options = joined(own_options, open_key_options);

Answer run_list(const Invocation& invocation) {
    Machine& machine = invocation.machine();
    std::string text;
    nlohmann::json rows = nlohmann::json::array();
    for (const DeletedService& one : list_deleted(machine)) {
        const auto end = one.deleted + machine.config.undelete_age;
        text += fmt::format("{}  removed {}  kept until {}  {}{}\n", one.name.text(),
                            iso8601(one.deleted), iso8601(end), human_size(one.size),
                            one.encrypted ? ", encrypted" : "");
        rows.push_back({{"service", one.name.text()},
                        {"deleted", iso8601(one.deleted)},
                        {"kept_until", iso8601(end)},
                        {"file", one.file},
                        {"size", one.size},
                        {"encrypted", one.encrypted}});
    }
    return {ExitCode::done, text,
            nlohmann::json{{"command", "undelete"}, {"deleted", rows}}.dump()};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.has("list") != arguments.words.empty()) {
        throw Error(ErrorKind::usage, "'drunner undelete' needs NAME or --list",
                    "drunner undelete --list");
    }
    if (arguments.has("list")) {
        return run_list(invocation);
    }
    const ServiceName name(arguments.words[0]);
    UndeleteRequest request;
    request.key = open_key_of(arguments);
    if (arguments.has("as")) {
        request.new_name = ServiceName(arguments.value("as"));
    }
    if (arguments.has("image")) {
        request.image = ImageReference(arguments.value("image"));
    }
    request.partial = arguments.has("partial");
    const RestoreReport report = undelete(invocation.machine_of(name), name, request);
    const std::string brought_back = report.manifest.name.text();
    nlohmann::json document{{"command", "undelete"},
                            {"service", brought_back},
                            {"changed", true},
                            {"reference", report.manifest.release().reference},
                            {"image_id", report.manifest.release().image_id},
                            {"files", report.result.files},
                            {"original_bytes", report.result.original_bytes}};
    if (!invocation.is_check()) {
        document["missing_secrets"] = report.missing_secrets;
        document["streamed"] = report.streamed;
    }
    return {
        ExitCode::done,
        "brought back '" + brought_back + "' (" + std::to_string(report.result.files) + " files)\n",
        document.dump()};
}

}  // namespace

constinit const Command undelete_command{
    "undelete",
    "NAME or --list",
    "bring back an obliterated service from its final backup",
    "0 brought back, 1 failed, everything is as before and the final backup is kept",
    options,
    0,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
