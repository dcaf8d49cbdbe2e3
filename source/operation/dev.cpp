#include "operation/dev.hpp"

#include <unistd.h>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/process.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

void build(Machine& machine, const DevRequest& request, const ImageReference& reference) {
    std::vector<std::string> arguments{"/usr/bin/env", "docker", "build",
                                       "--force-rm",   "-t",     reference.text()};
    for (const std::string& argument : request.build_args) {
        arguments.insert(arguments.end(), {"--build-arg", argument});
    }
    arguments.push_back(request.directory);
    std::vector<std::string> variables{"DOCKER_HOST=unix://" + machine.engine_socket};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        if (!text.starts_with("DOCKER_HOST=") && !text.starts_with("DOCKER_CONTEXT=")) {
            variables.emplace_back(text);
        }
    }
    const BoundedResult result =
        run_bounded({std::move(arguments),
                     std::move(variables),
                     request.directory,
                     std::chrono::seconds(0),
                     [&](std::string_view bytes) { machine.progress.script_output(bytes); },
                     {}});
    if (result.status != 0) {
        throw Error(ErrorKind::system, "cannot build '" + printable(request.directory) +
                                           "': docker build ended with " +
                                           std::to_string(result.status));
    }
}

}  // namespace

DevReport dev(Machine& machine, const DevRequest& request) {
    if (file_type(request.directory + "/Dockerfile") != FileType::regular) {
        throw Error(ErrorKind::usage, "'" + printable(request.directory) + "' has no Dockerfile",
                    "drunner new " + request.name.text());
    }
    const std::optional<Manifest> installed = Catalog(machine.paths).find(request.name);
    const ImageReference reference(installed ? installed->release().reference
                                             : request.name.text());
    build(machine, request, reference);

    Machine local = machine;
    local.config.pull = PullPolicy::never;
    Judgement judgement = check_image(local, reference, {});
    if (judgement.level_reached() < 0) {
        throw Error(ErrorKind::image_refused,
                    "image '" + reference.text() +
                        "' cannot be a service: " + judgement.findings.front().message,
                    "drunner checkimage " + reference.text());
    }
    if (installed) {
        UpdateResult result = update(local, request.name, {{}, PullPolicy::never, false});
        return {result.outcome, false, std::move(result.manifest), std::move(judgement)};
    }
    InstallResult result = install(local, {reference, request.name, PullPolicy::never});
    return {result.outcome, true, std::move(result.manifest), std::move(judgement)};
}

}  // namespace drunner
