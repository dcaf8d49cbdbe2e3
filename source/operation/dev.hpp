#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/rules.hpp"
#include "core/exit_code.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

struct DevRequest {
    std::string directory;  // absolute, with a Dockerfile and drunner/
    ServiceName name;
    std::vector<std::string> build_args;  // NAME=VALUE, for `docker build --build-arg`
};
struct DevReport {
    Outcome outcome = Outcome::changed;
    bool installed = false;  // it was not installed before
    Manifest manifest;
    Judgement judgement;
};
// One round of an author's loop: builds the image with `docker` on PATH (under the reference of the
// installed service, else under its name), judges it, and updates or installs the service from it.
// No registry is asked, now and at the service's later updates (its pull policy becomes `never`).
// Throws Error(system) with the last lines of a build that fails, Error(image_refused) below the
// contract; the service is then as it was.
DevReport dev(Machine& machine, const DevRequest& request);

}  // namespace drunner
