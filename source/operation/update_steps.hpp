#pragma once

#include <string>
#include <vector>

#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// What update and rollback share.

// Throws Error(broken) where there is no script to call.
void require_servicerunner(const Machine& machine, const ServiceName& service);

// Throws Error(broken) or Error(volume_missing) where the operation would build on something that
// is not there.
void require_updatable(Machine& machine, const Manifest& manifest);

std::vector<std::string> volume_names(const Manifest& manifest);

// What differs between two releases, in words.
std::vector<std::string> differences(const Release& before, const Release& after);

}  // namespace drunner
