#include "operation/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"fix", 0, nullptr, "mend what can be mended without losing data"},
};

std::string_view word_of(DoctorFinding::State state) {
    switch (state) {
        case DoctorFinding::State::found:
            return "found";
        case DoctorFinding::State::mended:
            return "mended";
        case DoctorFinding::State::remains:
            break;
    }
    return "remains";
}

// Mended, or with `doctor --fix --check` about to be.
bool counts_as_mended(const DoctorFinding& finding, bool foretold) {
    return finding.state == DoctorFinding::State::mended || (foretold && finding.mendable);
}

ExitCode code_of(const std::vector<DoctorFinding>& findings, bool foretold) {
    if (findings.empty()) {
        return ExitCode::no_change;
    }
    const bool all_mended =
        std::all_of(findings.begin(), findings.end(),
                    [&](const DoctorFinding& one) { return counts_as_mended(one, foretold); });
    return all_mended ? ExitCode::done : ExitCode::error;
}

Answer answer_of(const std::vector<DoctorFinding>& findings, bool foretold) {
    using nlohmann::json;
    std::string text = findings.empty() ? "nothing found\n" : "";
    json rows = json::array();
    bool changed = false;
    for (const DoctorFinding& one : findings) {
        const bool mended = one.state == DoctorFinding::State::mended;
        changed = changed || counts_as_mended(one, foretold);
        text +=
            fmt::format("{:<7}  {:<17}  {}\n", word_of(one.state), one.check, printable(one.what));
        if (!mended) {
            text += fmt::format("           why:  {}\n           next: {}\n", one.why,
                                printable(one.next));
        }
        rows.push_back({{"check", one.check},
                        {"service", one.service},
                        {"what", one.what},
                        {"why", one.why},
                        {"next", one.next},
                        {"mendable", one.mendable},
                        {"state", word_of(one.state)}});
    }
    return {code_of(findings, foretold), text,
            json{{"command", "doctor"}, {"changed", changed}, {"findings", rows}}.dump(
                -1, ' ', true, json::error_handler_t::replace)};
}

// Settings that cannot be read keep every command from starting; this one tells them.
Answer run(const Invocation& invocation) {
    DoctorRequest request;
    for (const std::string& word : invocation.arguments.words) {
        request.services.emplace_back(word);
    }
    request.fix = invocation.arguments.has("fix");
    try {
        Machine& machine = request.services.empty()
                               ? invocation.machine()
                               : invocation.machine_of(request.services.front());
        return answer_of(doctor(machine, request), request.fix && invocation.is_check());
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::settings) {
            throw;
        }
        DoctorFinding finding = settings_finding(error);
        finding.state = request.fix ? DoctorFinding::State::remains : DoctorFinding::State::found;
        return answer_of({finding}, false);
    }
}

}  // namespace

constinit const Command doctor_command{
    "doctor",
    "[SERVICE...]",
    "find what is left over, half done or decayed, and mend it",
    "3 nothing found, 1 found, with --fix 0 all mended and 1 something remains, named",
    options,
    0,
    std::numeric_limits<std::size_t>::max(),
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
