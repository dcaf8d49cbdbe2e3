#include "cli/junit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"

namespace drunner {
namespace {

// XML 1.0, section 2.4; printable() has taken out what no escape allows.
std::string escaped(const std::string& text) {
    std::string xml;
    for (const std::string& line : split(text, '\n')) {
        xml += xml.empty() ? "" : "&#10;";
        for (const char c : printable(line)) {
            switch (c) {
                case '&':
                    xml += "&amp;";
                    break;
                case '<':
                    xml += "&lt;";
                    break;
                case '>':
                    xml += "&gt;";
                    break;
                case '"':
                    xml += "&quot;";
                    break;
                default:
                    xml += c;
            }
        }
    }
    return xml;
}

}  // namespace

std::string junit_document(const TestReport& report) {
    const auto count = [&](TestStep::Verdict verdict) {
        return std::count_if(report.steps.begin(), report.steps.end(),
                             [&](const TestStep& step) { return step.verdict == verdict; });
    };
    double seconds = 0;
    std::string cases;
    const std::string suite = escaped(report.reference);
    for (const TestStep& step : report.steps) {
        seconds += step.seconds;
        cases += fmt::format("  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", suite,
                             escaped(step.name), step.seconds);
        if (step.verdict == TestStep::Verdict::passed) {
            cases += "/>\n";
        } else if (step.verdict == TestStep::Verdict::skipped) {
            cases += fmt::format("><skipped message=\"{}\"/></testcase>\n", escaped(step.why));
        } else {
            cases += fmt::format("><failure message=\"{}\">{}</failure></testcase>\n",
                                 escaped(split(step.why, '\n').front()), escaped(step.why));
        }
    }
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" "
        "time=\"{:.3f}\">\n"
        "  <properties><property name=\"level\" value=\"{}\"/></properties>\n{}</testsuite>\n",
        suite, report.steps.size(), count(TestStep::Verdict::failed),
        count(TestStep::Verdict::skipped), seconds, report.level, cases);
}

}  // namespace drunner
