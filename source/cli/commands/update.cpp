#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"all", 0, nullptr, "every service that is not on hold"},
    OptionRow{"image", 0, "REFERENCE", "take this reference from now on"},
    OptionRow{"unattended", 0, nullptr,
              "leave alone services on hold and images that failed before, as --all does"},
    OptionRow{"pull", 0, "WORD", "auto, always, missing or never; kept for this service"},
    accept_scripts_row,
    jobs_row,
};

std::string_view word_of(UpdateVerdict verdict) {
    switch (verdict) {
        case UpdateVerdict::updated:
            return "updated";
        case UpdateVerdict::unchanged:
            return "unchanged";
        case UpdateVerdict::held:
            return "held";
        case UpdateVerdict::failed_before:
            return "failed before";
        case UpdateVerdict::failed:
            break;
    }
    return "failed";
}

// 1 over 0 over 3.
ExitCode code_of(const std::vector<ServiceUpdate>& updates) {
    const auto any = [&](UpdateVerdict verdict) {
        return std::any_of(updates.begin(), updates.end(),
                           [&](const ServiceUpdate& one) { return one.verdict == verdict; });
    };
    return any(UpdateVerdict::failed)    ? ExitCode::error
           : any(UpdateVerdict::updated) ? ExitCode::done
                                         : ExitCode::no_change;
}

Answer answer_of(const std::vector<ServiceUpdate>& updates) {
    using nlohmann::json;
    std::vector<ResultRow> lines;
    json rows = json::array();
    for (const ServiceUpdate& one : updates) {
        const std::string result(word_of(one.verdict));
        lines.push_back(
            {one.name.text(), result, one.reason.empty() ? join(one.changes, ", ") : one.reason});
        json row{{"service", one.name.text()},
                 {"result", result},
                 {"changed", one.verdict == UpdateVerdict::updated},
                 {"changes", one.changes},
                 {"reason", one.reason}};
        if (one.error) {
            row["error"] = error_document(*one.error);
        }
        rows.push_back(std::move(row));
    }
    const bool changed = std::any_of(updates.begin(), updates.end(), [](const ServiceUpdate& one) {
        return one.verdict == UpdateVerdict::updated;
    });
    return {code_of(updates), result_table(lines, "SERVICE", "no service is installed"),
            json{{"command", "update"}, {"changed", changed}, {"services", rows}}.dump(
                -1, ' ', true, json::error_handler_t::replace)};
}

Answer run_several(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.has("image") || arguments.has("pull")) {
        throw Error(ErrorKind::usage, "--image and --pull are for one service, attended",
                    "drunner help update");
    }
    const unsigned jobs = jobs_option(arguments);
    if (arguments.has("all")) {
        if (!arguments.words.empty()) {
            throw Error(ErrorKind::usage,
                        "--all and '" + printable(arguments.words[0]) + "' exclude each other",
                        "drunner update --all");
        }
        return answer_of(update_all(invocation.machine(), jobs));
    }
    std::vector<ServiceName> names;
    for (const std::string& word : arguments.words) {
        names.emplace_back(word);
    }
    const Attendance attendance =
        arguments.has("unattended") ? Attendance::unattended : Attendance::attended;
    return answer_of(update_each(invocation.machine_of(names.front()), names, attendance, jobs));
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.words.empty() && !arguments.has("all")) {
        throw Error(ErrorKind::usage, "'drunner update' needs SERVICE... or --all",
                    "drunner help update");
    }
    if (arguments.words.size() != 1 || arguments.has("all") || arguments.has("unattended")) {
        return run_several(invocation);
    }
    refuse_jobs(arguments, "update");
    const ServiceName name(arguments.words[0]);
    UpdateRequest request{{}, pull_option(arguments), false};
    if (arguments.has("image")) {
        request.image = ImageReference(arguments.value("image"));
    }
    const UpdateResult result = update(invocation.machine_of(name), name, request);
    const bool changed = result.outcome == Outcome::changed;
    std::string text =
        changed ? "updated '" + name.text() + "'\n" : "'" + name.text() + "' is up to date\n";
    for (const std::string& change : result.changes) {
        text += "  " + change + "\n";
    }
    const Release& release = result.manifest.release();
    return {exit_code(result.outcome), text,
            nlohmann::json{{"command", "update"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"reference", release.reference},
                           {"image_id", release.image_id},
                           {"image_digest", release.image_digest},
                           {"changes", result.changes}}
                .dump()};
}

}  // namespace

constinit const Command update_command{
    "update",
    "SERVICE... or --all",
    "take the image that the reference of each service names now",
    "0 updated, 3 nothing changed, 1 failed and rolled back",
    options,
    0,
    std::numeric_limits<std::size_t>::max(),
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
