#pragma once

#include "container/tenant_containers.hpp"
#include "operation/machine.hpp"

namespace drunner {

// What the calls on tenants' containers need of a command's machine.
ContainerHost container_host(Machine& machine);

}  // namespace drunner
