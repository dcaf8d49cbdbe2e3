#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "operation/dev.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"build-arg", 0, "NAME=VALUE", "for `docker build`; may be repeated"},
    accept_scripts_row,
};

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const std::filesystem::path directory =
        std::filesystem::absolute(arguments.words[0] + "/").lexically_normal().parent_path();
    const ServiceName name(arguments.words.size() > 1 ? arguments.words[1]
                                                      : directory.filename().string());
    const DevReport report =
        dev(invocation.machine_of(name), {directory.string(), name, arguments.values("build-arg")});
    const bool changed = report.outcome == Outcome::changed;
    const std::string& reference = report.manifest.release().reference;
    const std::string word = report.installed ? "installed '" : changed ? "updated '" : "'";
    const int level = report.judgement.level_reached();
    return {exit_code(report.outcome),
            word + name.text() + (changed ? "' from '" + reference + "'\n" : "' is up to date\n") +
                "level " + std::to_string(level) + " of " + std::to_string(highest_level) +
                " (drunner checkimage " + reference + ")\n",
            nlohmann::json{{"command", "dev"},
                           {"service", name.text()},
                           {"changed", changed},
                           {"installed", report.installed},
                           {"reference", reference},
                           {"image_id", report.manifest.release().image_id},
                           {"level", level}}
                .dump()};
}

}  // namespace

constinit const Command dev_command{
    "dev",
    "DIR [SERVICE]",
    "build DIR, check the image, install or update the service from it; asks no registry",
    "0 installed or updated, 3 the image is the same, 1 failed, the service is as before",
    options,
    1,
    2,
    false,
    run};

}  // namespace drunner
