#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/condition_document.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"all", 0, nullptr, "every service, a line each"},
    jobs_row,
};

std::string runs_of(const ServiceCondition& condition) {
    const auto running = std::count_if(
        condition.containers.begin(), condition.containers.end(),
        [](const ContainerSummary& container) { return container.state == "running"; });
    return condition.containers.empty()
               ? std::string()
               : fmt::format("{} of {} containers run", running, condition.containers.size());
}

std::string what_of(const ServiceCondition& condition) {
    std::vector<std::string> parts;
    for (const Problem& problem : condition.problems) {
        parts.push_back(problem.what + (problem.next.empty() ? "" : "; next: " + problem.next));
    }
    if (!condition.operation.empty()) {
        parts.push_back("now " + condition.operation);
    }
    if (condition.hold) {
        parts.push_back("on hold " + hold_words(*condition.hold));
    }
    if (const std::string runs = runs_of(condition); !runs.empty() && condition.whole()) {
        parts.push_back(runs);
    }
    return join(parts, "; ");
}

Answer run_all(const Invocation& invocation) {
    using nlohmann::json;
    if (!invocation.arguments.words.empty()) {
        throw Error(
            ErrorKind::usage,
            "--all and '" + printable(invocation.arguments.words[0]) + "' exclude each other",
            "drunner status --all");
    }
    std::vector<ResultRow> lines;
    json rows = json::array();
    bool whole = true;
    for (const ServiceCondition& condition :
         status_all(invocation.machine(), jobs_option(invocation.arguments))) {
        whole = whole && condition.whole();
        lines.push_back(
            {condition.name.text(), condition.whole() ? "whole" : "broken", what_of(condition)});
        json row = json::parse(condition_document("status", condition));
        row.erase("command");
        rows.push_back(std::move(row));
    }
    return {whole ? ExitCode::done : ExitCode::error,
            result_table(lines, "SERVICE", "no service is installed"),
            json{{"command", "status"}, {"whole", whole}, {"services", rows}}.dump(
                -1, ' ', true, json::error_handler_t::replace)};
}

Answer run(const Invocation& invocation) {
    if (invocation.arguments.has("all")) {
        return run_all(invocation);
    }
    if (invocation.arguments.words.empty()) {
        throw Error(ErrorKind::usage, "'drunner status' needs SERVICE or --all",
                    "drunner help status");
    }
    refuse_jobs(invocation.arguments, "status");
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
                                       "SERVICE or --all",
                                       "is the service whole, and what of it runs",
                                       "0 whole (stopped by hand is whole), 1 broken or "
                                       "unfinished, with what is wrong and what to type",
                                       options,
                                       0,
                                       1,
                                       false,
                                       run,
                                       CheckMode::reads_only};

}  // namespace drunner
