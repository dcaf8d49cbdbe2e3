#include "cli/commands.hpp"
#include "cli/service_exit.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    std::vector<std::string> command{"enter"};
    const auto& tail = invocation.arguments.tail;
    command.insert(command.end(), tail.begin(), tail.end());
    const int status = run_service_command(invocation.machine_of(name), name, command);
    return {service_exit(name, "enter", status), {}, {}};
}

}  // namespace

constinit const Command enter_command{"enter",
                                      "SERVICE [ARGUMENTS]",
                                      "run the service's own 'enter', a shell in its container",
                                      "the command's own 0 and 3, 1 for everything else",
                                      {},
                                      1,
                                      1,
                                      true,
                                      run};

}  // namespace drunner
