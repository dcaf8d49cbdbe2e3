#include "cli/backup_input.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {

FileDescriptor open_backup_input(const std::string& word) {
    if (word == "-") {
        if (isatty(STDIN_FILENO) == 1) {
            throw Error(ErrorKind::usage, "a backup is not read from a terminal");
        }
        return FileDescriptor(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    }
    FileDescriptor file(open(word.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        throw system_error("cannot read the backup '" + printable(word) + "'", errno);
    }
    return file;
}

TargetInput::TargetInput(Machine& machine, const std::string& target, const ServiceName& service,
                         const std::string& id)
    : target_(make_backup_target(machine, target)),
      download_(target_->open(service, chosen_backup(*target_, service, id))) {}

void refuse_snapshot(const Arguments& arguments) {
    if (arguments.has("snapshot")) {
        throw Error(ErrorKind::usage, "--snapshot names one of the backups of a target, not a file",
                    "drunner help restore");
    }
}

}  // namespace drunner
