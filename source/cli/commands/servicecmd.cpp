#include "cli/commands.hpp"
#include "cli/service_exit.hpp"
#include "core/error.hpp"
#include "operation/operations.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const ServiceName name(invocation.arguments.words[0]);
    std::vector<std::string> command = invocation.arguments.tail;
    if (command.empty()) {
        command.emplace_back("help");
    }
    const std::string& word = command.front();
    if (const std::string advice = reserved_word_advice(word, name); !advice.empty()) {
        throw Error(ErrorKind::usage, "'" + name.text() + " " + word + "' is drunner's own",
                    advice);
    }
    const int status = run_service_command(invocation.machine_of(name), name, command);
    if (word == "help") {
        return {};
    }
    return {service_exit(name, word, status), {}, {}};
}

}  // namespace

constinit const Command servicecmd_command{
    "servicecmd",
    "SERVICE [COMMAND [ARGUMENTS]]",
    "run a command of the service; what 'SERVICE COMMAND' does",
    "the command's own 0 and 3, 1 for everything else",
    {},
    1,
    1,
    true,
    run};

}  // namespace drunner
