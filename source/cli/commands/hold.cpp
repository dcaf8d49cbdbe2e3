#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/clock.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"for", 0, "TIME", "30m, 12h, 7d; else until it is released"},
    OptionRow{"off", 0, nullptr, "let it be updated again"},
};

std::optional<std::chrono::seconds> length_of(const Arguments& arguments) {
    if (!arguments.has("for")) {
        return std::nullopt;
    }
    const auto length = parse_duration(arguments.value("for"));
    if (!length || length->count() == 0) {
        throw Error(ErrorKind::usage,
                    "'--for " + printable(arguments.value("for")) +
                        "' is no time: a number with s, m, h or d behind it",
                    "drunner hold SERVICE --for 12h");
    }
    return length;
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    const bool off = arguments.has("off");
    const std::optional<std::chrono::seconds> length = length_of(arguments);
    if (off && length) {
        throw Error(ErrorKind::usage, "--for and --off exclude each other", "drunner help hold");
    }
    Machine& machine = invocation.machine_of(name);
    const HoldResult result = off ? release_hold(machine, name) : hold(machine, name, length);
    nlohmann::json document{{"command", "hold"},
                            {"service", name.text()},
                            {"changed", result.outcome == Outcome::changed},
                            {"held", result.hold.has_value()}};
    std::string text = "'" + name.text() + "' is not on hold\n";
    if (result.hold) {
        text = "'" + name.text() + "' is on hold " + hold_words(*result.hold) + "\n";
        document["hold"] = {{"since", result.hold->since}, {"until", hold_end(*result.hold)}};
    }
    return {exit_code(result.outcome), text, document.dump()};
}

}  // namespace

constinit const Command hold_command{"hold",
                                     "SERVICE",
                                     "keep update --all away from a service",
                                     "0 held or released, 3 it was so already, 1 failed",
                                     options,
                                     1,
                                     1,
                                     false,
                                     run,
                                     CheckMode::foretold};

}  // namespace drunner
