#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

std::string_view word_of(Severity severity) {
    return severity == Severity::error ? "error" : "warning";
}

Answer run(const Invocation& invocation) {
    const ImageReference reference(invocation.arguments.words[0]);
    const std::vector<Finding> findings = check_image(invocation.machine(), reference);
    bool passes = true;
    std::string text;
    nlohmann::json rows = nlohmann::json::array();
    for (const Finding& finding : findings) {
        passes = passes && finding.severity != Severity::error;
        text += fmt::format("{}: {} [{}]\n  fix: {}\n", word_of(finding.severity), finding.message,
                            finding.rule, finding.fix);
        rows.push_back({{"id", finding.rule},
                        {"severity", word_of(finding.severity)},
                        {"message", finding.message},
                        {"file", finding.file},
                        {"line", finding.line},
                        {"fix", finding.fix}});
    }
    text += passes ? "'" + reference.text() + "' can be a service\n"
                   : "'" + reference.text() + "' cannot be a service\n";
    return {passes ? ExitCode::done : ExitCode::error, text,
            nlohmann::json{{"command", "checkimage"},
                           {"reference", reference.text()},
                           {"passes", passes},
                           {"findings", rows}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command checkimage_command{
    "checkimage", "IMAGE", "does the image keep the contract", "0 it does, 1 it does not", {}, 1, 1,
    false,        run};

}  // namespace drunner
