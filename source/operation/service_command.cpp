#include "core/error.hpp"
#include "engine/endpoint.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"

namespace drunner {

int run_service_command(Machine& machine, const ServiceName& name,
                        const std::vector<std::string>& arguments) {
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_own_engine(machine, manifest);
    require_no_operation(machine, name);
    const std::string script = machine.paths.servicerunner(name);
    if (file_type(script) != FileType::regular) {
        throw Error(ErrorKind::broken, "'" + name.text() + "' has no servicerunner any more",
                    "drunner recover " + name.text());
    }
    return machine.scripts.run_command({script, arguments, docker_host(machine.engine_socket)});
}

}  // namespace drunner
