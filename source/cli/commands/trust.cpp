#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"sha256", 0, "SHA256", "the digest that `diff` ends with; may be repeated"},
};

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    std::vector<std::string> digests;
    for (const std::string& word : invocation.arguments.values("sha256")) {
        digests.push_back(digest_of_word(word));
    }
    if (digests.empty()) {
        throw Error(ErrorKind::usage, "'drunner trust' needs --sha256",
                    "drunner diff " + name.text() + " IMAGE");
    }
    const Outcome outcome = trust(invocation.machine_of(name), name, digests);
    const bool changed = outcome == Outcome::changed;
    return {exit_code(outcome),
            changed ? "accepted, for '" + name.text() + "'\n" : "accepted already\n",
            nlohmann::json{{"command", "trust"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"sha256", digests}}
                .dump()};
}

}  // namespace

constinit const Command trust_command{
    "trust",
    "SERVICE",
    "say that scripts may run as root, for REVIEW=pin; who says so is recorded",
    "0 accepted, 3 accepted already, 1 failed",
    options,
    1,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
