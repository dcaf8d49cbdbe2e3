#include "core/error.hpp"
#include "engine/endpoint.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"

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
    const int version = manifest.release().config.version;
    const std::string& word = arguments.front();
    const bool hooked = version > 1 && word != "help";
    if (hooked && word == "enter") {
        run_plain_hook(machine, name, {Hook::enter_start, version, {}, "enter"});
    } else if (hooked) {
        run_plain_hook(machine, name, {Hook::command_start, version, arguments, "servicecmd"});
    }
    const int status =
        machine.scripts.run_command({script, arguments, docker_host(machine.engine_socket)});
    if (hooked && word != "enter") {
        run_plain_hook(machine, name, {Hook::command_end, version, arguments, "servicecmd"});
    }
    return status;
}

}  // namespace drunner
