#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "check/rules.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/junit.hpp"
#include "cli/stderr_progress.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"from", 0, "IMAGE", "a release that this one is updated from, too"},
    OptionRow{"junit", 0, "FILE", "write JUnit XML to it"},
    accept_scripts_row,
};

std::string_view word_of(TestStep::Verdict verdict) {
    return verdict == TestStep::Verdict::passed   ? "passed"
           : verdict == TestStep::Verdict::failed ? "failed"
                                                  : "skipped";
}

std::string line_of(const TestStep& step, bool colour) {
    const bool failed = step.verdict == TestStep::Verdict::failed;
    const std::string_view mark = failed                                      ? "✘"
                                  : step.verdict == TestStep::Verdict::passed ? "✔"
                                                                              : "–";
    std::string line =
        colour ? fmt::format("\033[{}m{}\033[0m", failed ? 31 : 32, mark) : std::string(mark);
    line += " " + printable(step.name);
    if (!step.why.empty()) {
        const std::vector<std::string> lines = split(step.why, '\n');
        line += ": " + printable(lines.front());
        for (std::size_t i = 1; i < lines.size(); ++i) {
            line += "\n  " + printable(lines[i]);
        }
    }
    return line + "\n";
}

std::string last_lines(const TestReport& report) {
    const auto name_of = [](int level) {
        return level < 0 ? std::string("no level")
                         : fmt::format("level {} of {}, {}", level, highest_level,
                                       level_names.at(static_cast<std::size_t>(level)));
    };
    std::string text = fmt::format("the rules of checkimage: {}\n", name_of(report.rules_level));
    return text + fmt::format("'{}' {} and reaches {}\n", printable(report.reference),
                              report.passed() ? "passes" : "fails", name_of(report.level));
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    TestRequest request{ImageReference(arguments.words[0]), {}};
    if (arguments.has("from")) {
        request.from.emplace(arguments.value("from"));
    }
    const bool colour = isatty(STDOUT_FILENO) == 1 && !arguments.has("no-color") &&
                        std::getenv("NO_COLOR") == nullptr;
    if (!arguments.has("json")) {
        request.on_step = [&](const TestStep& step) {
            write_output(STDOUT_FILENO, line_of(step, colour));
        };
    }
    const TestReport report = test_image(invocation.machine(), request);
    if (arguments.has("junit")) {
        write_file(arguments.value("junit"), junit_document(report), 0644);
    }
    nlohmann::json steps = nlohmann::json::array();
    for (const TestStep& step : report.steps) {
        steps.push_back({{"name", step.name},
                         {"level", step.level},
                         {"result", word_of(step.verdict)},
                         {"why", step.why},
                         {"seconds", step.seconds}});
    }
    return {report.passed() ? ExitCode::done : ExitCode::error, last_lines(report),
            nlohmann::json{{"command", "test"},
                           {"reference", report.reference},
                           {"passes", report.passed()},
                           {"rules_level", report.rules_level},
                           {"level", report.level},
                           {"steps", steps}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command test_command{
    "test",
    "IMAGE",
    "live a service's whole life with an image, under scratch names, and say its level",
    "0 everything passed, 1 something failed; nothing is left of it",
    options,
    1,
    1,
    false,
    run};

}  // namespace drunner
