#include "operation/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/journal.hpp"
#include "operation/transaction.hpp"

namespace drunner {

ServiceSession::ServiceSession(Machine& machine, const ServiceName& service, bool allowed_nested)
    : machine_(machine),
      service_(service),
      lock_(
          FileLock::acquire(machine.paths.lock(service), machine.command_line, machine.lock_wait)) {
    machine_.nested = lock_.nested();
    if (lock_.nested()) {
        if (!allowed_nested) {
            throw Error(ErrorKind::locked,
                        "an operation on '" + service.text() +
                            "' is in progress, and its hooks cannot start this one");
        }
        return;
    }
    recovered_ = recover_unfinished(machine, service) != Recovery::nothing;
}

ServiceSession::~ServiceSession() {
    machine_.nested = false;
    // The lock of a service that is gone goes with it; whoever waits for it sees that it did.
    if (!lock_.nested() && !exists(machine_.paths.service(service_))) {
        unlink(machine_.paths.lock(service_).c_str());
    }
}

bool same_socket(const std::string& a, const std::string& b) {
    std::error_code ignored;
    return a == b || std::filesystem::weakly_canonical(a, ignored) ==
                         std::filesystem::weakly_canonical(b, ignored);
}

void require_own_engine(const Machine& machine, const Manifest& manifest) {
    if (!manifest.engine_socket.empty() &&
        !same_socket(machine.engine_socket, manifest.engine_socket)) {
        throw Error(ErrorKind::usage,
                    "'" + manifest.name.text() + "' is bound to the engine at '" +
                        manifest.engine_socket + "', not to '" + machine.engine_socket + "'",
                    "drunner --host unix://" + manifest.engine_socket + " ...");
    }
}

void require_no_operation(const Machine& machine, const ServiceName& service) {
    constexpr std::array excluding{"restore", "update", "rollback", "obliterate"};
    for (const JournalRecord& record : read_journals(machine.paths, service)) {
        if (std::find(excluding.begin(), excluding.end(), record.verb) == excluding.end()) {
            continue;
        }
        // The lock's holder, where it is an ancestor of ours, does not count.
        const std::string holder = FileLock::holder(machine.paths.lock(service));
        if (!holder.empty()) {
            throw Error(ErrorKind::locked, "'" + service.text() + "' cannot be used now: '" +
                                               record.verb + "' works on it (" + holder + ")");
        }
    }
}

}  // namespace drunner
