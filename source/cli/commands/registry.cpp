#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    if (words[0] != "test") {
        throw Error(ErrorKind::usage, "'drunner registry' has no '" + printable(words[0]) + "'",
                    "drunner registry test " + printable(words[1]));
    }
    const RegistryVerdict verdict = test_registry(invocation.machine(), ImageReference(words[1]));
    return {
        ExitCode::done,
        verdict.reference + " is there: " + verdict.digest + "\n" +
            (verdict.with_credentials ? "asked with the credentials for " + verdict.domain + "\n"
                                      : "asked without credentials\n"),
        nlohmann::json{{"command", "registry"},
                       {"reference", verdict.reference},
                       {"domain", verdict.domain},
                       {"digest", verdict.digest},
                       {"with_credentials", verdict.with_credentials}}
            .dump()};
}

}  // namespace

constinit const Command registry_command{
    "registry",
    "test REFERENCE",
    "ask the registry for an image: is it there, do the credentials fit",
    "0 the image is there, 1 it is not, or the registry cannot be asked",
    {},
    2,
    2,
    false,
    run,
    CheckMode::reads_only};

}  // namespace drunner
