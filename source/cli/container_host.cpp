#include "cli/container_host.hpp"

namespace drunner {

ContainerHost container_host(Machine& machine) {
    return {machine.engine, machine.registry,     machine.progress,
            machine.paths,  machine.command_line, machine.lock_wait};
}

}  // namespace drunner
