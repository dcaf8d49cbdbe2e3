#include <algorithm>
#include <thread>

#include "core/error.hpp"
#include "operation/operations.hpp"
#include "operation/side_by_side.hpp"

namespace drunner {

std::vector<ServiceBackup> backup_all(Machine& machine, const BackupRequest& request,
                                      unsigned jobs) {
    const std::vector<ServiceName> names = Catalog(machine.paths).names();
    const ServiceOrder order = order_services(names, installed_after(machine, names));
    for (const std::string& cycle : order.cycles) {
        machine.progress.warning(cycle);
    }
    // The cores are shared among those that run side by side, and so is the memory.
    BackupRequest share = request;
    share.workers = std::max(1U, std::thread::hardware_concurrency() / std::max(1U, jobs));
    std::vector<ServiceBackup> backups;
    for (const ServiceName& name : names) {
        backups.push_back({name, std::nullopt, std::nullopt});
    }
    work_side_by_side(machine, order.list, jobs, [&](Machine& own, std::size_t place) {
        ServiceBackup& told = backups[place];
        try {
            told.report = backup(own, told.name, share);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            tell_failure(own, told.name.text(), error);
            told.error = error;
        }
        return told.report.has_value();
    });
    return backups;
}

}  // namespace drunner
