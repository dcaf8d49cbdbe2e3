#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/condition_document.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    const ServiceCondition condition = status(invocation.machine_of(name), name);
    std::string text = fmt::format("{}  {}\n", name.text(), condition.whole() ? "whole" : "broken");
    if (condition.manifest) {
        text +=
            fmt::format("  image      {}\n", printable(condition.manifest->release().reference));
        text += fmt::format("  release    {} of {}\n", condition.manifest->current,
                            condition.manifest->release().installed_at);
        if (const auto& backup = condition.manifest->last_backup) {
            text += fmt::format("  backup     {} {}\n", backup->at, printable(backup->file));
        }
        if (const auto& drill = condition.manifest->last_drill) {
            text += fmt::format("  drill      {} {}{}\n", drill->at,
                                drill->passed ? "passed" : "failed: ", printable(drill->reason));
        }
    }
    if (!condition.operation.empty()) {
        text += fmt::format("  now        {}\n", condition.operation);
    }
    if (condition.hold) {
        text += fmt::format("  on hold    {}\n", hold_words(*condition.hold));
    }
    for (const ContainerSummary& container : condition.containers) {
        text +=
            fmt::format("  container  {}  {}\n", printable(container.name),
                        printable(container.status.empty() ? container.state : container.status));
    }
    for (const Problem& problem : condition.problems) {
        text += fmt::format("  problem    {}\n    next     {}\n", problem.what, problem.next);
    }
    return {condition.whole() ? ExitCode::done : ExitCode::error, text,
            condition_document("status", condition)};
}

}  // namespace

constinit const Command status_command{"status",
                                       "SERVICE",
                                       "is the service whole, and what of it runs",
                                       "0 whole (stopped by hand is whole), 1 broken or "
                                       "unfinished, with what is wrong and what to type",
                                       {},
                                       1,
                                       1,
                                       false,
                                       run,
                                       CheckMode::reads_only};

}  // namespace drunner
