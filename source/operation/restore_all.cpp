#include <fcntl.h>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/backup_directory.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

RestoreReport restore_file(Machine& machine, const ServiceName& name, const std::string& file,
                           RestoreRequest request) {
    const FileDescriptor input(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!input.valid()) {
        throw system_error("cannot read the backup '" + printable(file) + "'", errno);
    }
    request.input = input.get();
    request.name = name;
    return restore(machine, request);
}

// From the newest backup that is whole: a damaged one is found while it is restored, and undone.
ServiceRestore restore_one(Machine& machine, const std::string& directory, const ServiceName& name,
                           const RestoreRequest& request) {
    ServiceRestore told{name, {}, std::nullopt, std::nullopt};
    std::vector<std::string> unknown;
    const std::vector<StoredBackup> backups = stored_backups(directory, name, unknown);
    for (const StoredBackup& one : backups) {
        told.file = one.file;
        try {
            told.report = restore_file(machine, name, one.file, request);
            told.error.reset();
            return told;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            machine.progress.warning("'" + printable(one.file) + "': " + error.what());
            told.error = error;
            if (error.kind() != ErrorKind::archive_damaged) {
                return told;
            }
        }
    }
    if (backups.empty()) {
        told.error = Error(ErrorKind::system, "there is no backup of '" + name.text() + "' in '" +
                                                  printable(directory) + "'");
    }
    return told;
}

}  // namespace

std::vector<ServiceRestore> restore_all(Machine& machine, const std::string& directory,
                                        const RestoreRequest& request) {
    const std::vector<ServiceName> names = services_with_backups(directory);
    if (names.empty()) {
        throw Error(ErrorKind::system,
                    "'" + printable(directory) + "' has no directory of a service's backups",
                    "give the directory that was BACKUPDIR, or a copy of it");
    }
    std::vector<ServiceRestore> restored;
    for (const ServiceName& name : names) {
        restored.push_back(Catalog(machine.paths).is_installed(name)
                               ? ServiceRestore{name, {}, std::nullopt, std::nullopt}
                               : restore_one(machine, directory, name, request));
    }
    return restored;
}

}  // namespace drunner
