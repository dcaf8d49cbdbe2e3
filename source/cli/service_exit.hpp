#pragma once

#include <string>

#include "core/exit_code.hpp"
#include "core/service_name.hpp"

namespace drunner {

// What the exit status of a service's command is for our caller: 0 and 3 pass; any other throws
// Error(script_failed) that names it.
ExitCode service_exit(const ServiceName& name, const std::string& command, int status);

}  // namespace drunner
