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

}  // namespace drunner
