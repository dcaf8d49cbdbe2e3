#include "operation/drill.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/restore_plan.hpp"
#include "operation/session.hpp"

namespace drunner {
namespace {

constexpr std::size_t scratch_digits = 12;
// The verdict waits that long for another operation on the service to end.
constexpr std::chrono::seconds record_wait{30};

// What the last backup wrote, where it stands; else the newest of the backup directory, whose names
// sort by time.
std::string newest_backup(const Machine& machine, const Manifest& manifest) {
    if (manifest.last_backup && file_type(manifest.last_backup->file) == FileType::regular) {
        return manifest.last_backup->file;
    }
    const std::string directory = machine.config.backup_directory + "/" + manifest.name.text();
    std::vector<std::string> names = directory_entries(directory);
    std::erase_if(names, [](const std::string& name) {
        return name.starts_with('.') ||
               (!name.ends_with(".tar.zst") && !name.ends_with(".tar.zst.age"));
    });
    if (names.empty()) {
        throw Error(ErrorKind::system, "there is no backup of '" + manifest.name.text() + "'",
                    "drunner backup " + manifest.name.text());
    }
    return directory + "/" + names.back();
}

// What can be seen of a service that has no selftest.
void require_healthy(Machine& machine, const ServiceName& scratch) {
    const ServiceCondition condition = examine(machine, scratch);
    if (!condition.whole()) {
        throw Error(ErrorKind::broken, condition.problems.front().what);
    }
    for (const ContainerSummary& summary : condition.containers) {
        const std::optional<Container> container = machine.engine.find_container(summary.id);
        if (container && (container->state == "restarting" || container->state == "dead" ||
                          (container->state == "exited" && container->exit_code != 0))) {
            throw Error(ErrorKind::broken, "container '" + summary.name + "' does not run: it is " +
                                               container->state + " with status " +
                                               std::to_string(container->exit_code));
        }
    }
}

RestoreReport try_backup(Machine& machine, const ServiceName& name, const std::string& file,
                         const OpenKey& key) {
    const FileDescriptor input(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!input.valid()) {
        throw system_error("cannot read the backup '" + printable(file) + "'", errno);
    }
    const std::unique_ptr<BackupReader> reader = open_backup(input.get(), key);
    const std::string& service = reader->header().service;
    const bool unnamed = service.empty() && reader->header().from_old_tool;
    if (service != name.text() && !unnamed) {
        throw Error(ErrorKind::archive_refused, "'" + printable(file) + "' is a backup of '" +
                                                    printable(service) + "', not of '" +
                                                    name.text() + "'");
    }
    // Not below the service's own name: containers of "S-..." are its own.
    const ServiceName scratch("drill-" + random_id().substr(0, scratch_digits));
    std::optional<RestoreReport> report;
    {
        const ServiceSession session(machine, scratch);
        report = restore_for_drill(machine, *reader, scratch, name);
    }
    if (machine.check) {
        return *report;
    }
    std::optional<Error> failure;
    try {
        require_healthy(machine, scratch);
    } catch (const Error& error) {
        failure = error;
    }
    const CancellationShield shield;
    obliterate(machine, scratch, {true});
    if (failure) {
        throw Error(*failure);
    }
    return *report;
}

void record(Machine& machine, const ServiceName& name, const DrillRecord& verdict) {
    const CancellationShield shield;
    try {
        const FileLock lock = FileLock::acquire(machine.paths.lock(name), machine.command_line,
                                                std::max(machine.lock_wait, record_wait));
        if (lock.nested() || !read_journals(machine.paths, name).empty()) {
            machine.progress.warning("the verdict is not recorded: an operation on '" +
                                     name.text() + "' is unfinished");
            return;
        }
        const Catalog catalog(machine.paths);
        Manifest manifest = catalog.load(name);
        manifest.last_drill = verdict;
        catalog.save(manifest);
    } catch (const Error& error) {
        machine.progress.warning("the verdict is not recorded: " + std::string(error.what()));
    }
}

// Whether the failure says something of the backup, and not only of this attempt.
bool is_verdict(ErrorKind kind) {
    constexpr std::array others{ErrorKind::interrupted,
                                ErrorKind::locked,
                                ErrorKind::usage,
                                ErrorKind::wrong_password,
                                ErrorKind::engine_unreachable,
                                ErrorKind::engine_denied};
    return std::find(others.begin(), others.end(), kind) == others.end();
}

}  // namespace

DrillReport drill(Machine& machine, const ServiceName& name, const DrillRequest& request) {
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_own_engine(machine, manifest);
    remove_abandoned_drills(machine);
    const std::string lock = machine.paths.drill_lock(name);
    std::optional<FileLock> drilling;
    if (!machine.check) {
        drilling.emplace(FileLock::acquire(lock, machine.command_line, machine.lock_wait));
    } else if (const std::string holder = FileLock::holder(lock); !holder.empty()) {
        throw Error(ErrorKind::locked, "'" + lock + "' is locked by " + holder,
                    "try again when that is over");
    }
    DrillReport report;
    report.file = request.file.empty() ? newest_backup(machine, manifest) : request.file;
    DrillRecord verdict{iso8601(machine.clock.now()), report.file, true, {}};
    try {
        const RestoreReport restored = try_backup(machine, name, report.file, request.key);
        report.result = restored.result;
        report.selftest = restored.manifest.release().config.selftest;
    } catch (const Error& error) {
        if (!machine.check && is_verdict(error.kind())) {
            verdict.passed = false;
            verdict.reason = error.what();
            record(machine, name, verdict);
        }
        throw error.within("the drill of '" + name.text() + "' failed");
    }
    if (!machine.check) {
        record(machine, name, verdict);
    }
    return report;
}

std::vector<std::string> remove_abandoned_drills(Machine& machine) {
    std::vector<std::string> removed;
    const Catalog catalog(machine.paths);
    for (const ServiceName& name : catalog.names()) {
        std::optional<Manifest> manifest;
        try {
            manifest = catalog.find(name);
        } catch (const Error& error) {
            machine.progress.detail(error.what());
        }
        if (!manifest || manifest->drill_of.empty() ||
            !same_socket(manifest->engine_socket, machine.engine_socket) ||
            !FileLock::holder(machine.paths.drill_lock(ServiceName(manifest->drill_of))).empty()) {
            continue;
        }
        if (!machine.check) {
            obliterate(machine, name, {true});
        }
        removed.push_back(name.text());
    }
    return removed;
}

}  // namespace drunner
