#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    DrillRequest request;
    request.key = open_key_of(arguments);
    if (arguments.words.size() > 1) {
        request.file = std::filesystem::absolute(arguments.words[1]).string();
    }
    const DrillReport report = drill(invocation.machine_of(name), name, request);
    return {ExitCode::done,
            "passed: '" + name.text() + "' comes back from '" + printable(report.file) + "' (" +
                std::to_string(report.result.files) + " files" +
                (report.selftest ? ", selftest passed)\n" : ", the service has no selftest)\n"),
            nlohmann::json{{"command", "drill"},
                           {"service", name.text()},
                           {"changed", true},
                           {"file", report.file},
                           {"files", report.result.files},
                           {"original_bytes", report.result.original_bytes},
                           {"selftest", report.selftest}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command drill_command{
    "drill",
    "SERVICE [FILE]",
    "restore the newest backup under a scratch name, test it, remove it again",
    "0 passed, 1 failed, and why; the service itself is not touched",
    open_key_options,
    1,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
