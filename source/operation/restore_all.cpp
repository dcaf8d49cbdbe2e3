#include <fcntl.h>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/backup_directory.hpp"
#include "operation/operations.hpp"
#include "operation/side_by_side.hpp"

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
            tell_failure(machine, printable(one.file), error);
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

// The AFTER in the newest backup whose beginning can be read. What is wrong with the others, the
// restore says.
std::vector<std::string> after_in_backup(const std::string& directory, const ServiceName& name,
                                         const OpenKey& key) {
    std::vector<StoredBackup> backups;
    try {
        std::vector<std::string> unknown;
        backups = stored_backups(directory, name, unknown);
    } catch (const Error&) {
        return {};
    }
    for (const StoredBackup& one : backups) {
        const FileDescriptor input(open(one.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        try {
            return open_backup(input.get(), key)->header().after;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
        }
    }
    return {};
}

}  // namespace

std::vector<ServiceRestore> restore_all(Machine& machine, const std::string& directory,
                                        const RestoreRequest& request, unsigned jobs) {
    const std::vector<ServiceName> names = services_with_backups(directory);
    if (names.empty()) {
        throw Error(ErrorKind::system,
                    "'" + printable(directory) + "' has no directory of a service's backups",
                    "give the directory that was BACKUPDIR, or a copy of it");
    }
    std::vector<ServiceRestore> restored;
    std::vector<ServiceName> lost;
    std::vector<std::size_t> places;
    std::vector<std::vector<std::string>> after;
    for (const ServiceName& name : names) {
        restored.push_back({name, {}, std::nullopt, std::nullopt});
        if (!Catalog(machine.paths).is_installed(name)) {
            lost.push_back(name);
            places.push_back(restored.size() - 1);
            after.push_back(after_in_backup(directory, name, request.key));
        }
    }
    const ServiceOrder order = order_services(lost, after);
    for (const std::string& cycle : order.cycles) {
        machine.progress.warning(cycle);
    }
    work_side_by_side(machine, order.list, jobs, [&](Machine& own, std::size_t place) {
        ServiceRestore& told = restored[places[place]];
        try {
            told = restore_one(own, directory, told.name, request);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            told.error = error;  // of its directory, which cannot be read
        }
        return told.report.has_value();
    });
    return restored;
}

}  // namespace drunner
