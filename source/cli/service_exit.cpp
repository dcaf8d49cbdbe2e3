#include "cli/service_exit.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {

ExitCode service_exit(const ServiceName& name, const std::string& command, int status) {
    if (status == static_cast<int>(ExitCode::done)) {
        return ExitCode::done;
    }
    if (status == static_cast<int>(ExitCode::no_change)) {
        return ExitCode::no_change;
    }
    throw Error(ErrorKind::script_failed, "'" + printable(command) + "' of '" + name.text() +
                                              "' failed with status " + std::to_string(status));
}

}  // namespace drunner
