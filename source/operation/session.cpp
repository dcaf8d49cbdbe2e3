#include "operation/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/journal.hpp"
#include "operation/transaction.hpp"
#include "service/audit_trail.hpp"
#include "service/script_acceptance.hpp"

namespace drunner {
namespace {

// Empty where nothing is installed, or is broken.
std::optional<AuditedState> state_of(const Machine& machine, const ServiceName& service) {
    try {
        const std::optional<Manifest> manifest = Catalog(machine.paths).find(service);
        if (!manifest) {
            return std::nullopt;
        }
        const Release& release = manifest->release();
        return AuditedState{release.number, release.reference, release.image_id,
                            release.image_digest, scripts_digest(release.script_hashes)};
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

}  // namespace

ServiceSession::ServiceSession(Machine& machine, const ServiceName& service, Use use)
    : machine_(machine), service_(service) {
    if (machine.check) {
        rehearse(use);
        return;
    }
    lock_.emplace(
        FileLock::acquire(machine.paths.lock(service), machine.command_line, machine.lock_wait));
    machine_.nested = lock_->nested();
    if (lock_->nested()) {
        if (use != Use::nested) {
            throw Error(ErrorKind::locked,
                        "an operation on '" + service.text() +
                            "' is in progress, and its hooks cannot start this one");
        }
        return;
    }
    if (machine.audited != nullptr) {
        const std::optional<AuditedState> before = state_of(machine, service);
        audited_ = machine.audited->size();
        machine.audited->push_back({service.text(), before, before});
    }
    machine.lock = &*lock_;
    try {
        recovered_ = recover_unfinished(machine, service) != Recovery::nothing;
    } catch (...) {
        machine.lock = nullptr;
        throw;
    }
}

void ServiceSession::rehearse(Use use) {
    const std::string lock = machine_.paths.lock(service_);
    if (const std::string holder = FileLock::holder(lock); !holder.empty()) {
        throw Error(ErrorKind::locked, "'" + lock + "' is locked by " + holder,
                    "try again when that is over");
    }
    const std::vector<std::string> recovery = foresee_recovery(machine_, service_);
    for (const std::string& what : recovery) {
        machine_.progress.warning("unfinished: " + what);
        tell_change(machine_, what);
    }
    unfinished_ = !recovery.empty();
    recovered_ = unfinished_;
    if (has_litter(machine_.paths, service_)) {
        tell_change(machine_, "what a killed drunner left in '" + machine_.paths.service(service_) +
                                  "' goes");
        recovered_ = true;
    }
    if (unfinished_ && use != Use::recovery_counts) {
        throw Error(ErrorKind::unfinished,
                    "an operation on '" + service_.text() +
                        "' was interrupted, and --check cannot foretell what comes behind its "
                        "recovery",
                    "drunner recover " + service_.text());
    }
}

ServiceSession::~ServiceSession() {
    if (!lock_) {
        return;
    }
    machine_.nested = false;
    if (machine_.lock == &*lock_) {
        machine_.lock = nullptr;
    }
    if (machine_.audited != nullptr && !lock_->nested()) {
        machine_.audited->at(audited_).after = state_of(machine_, service_);
    }
    // The lock of a service that is gone goes with it; whoever waits for it sees that it did.
    if (!lock_->nested() && !exists(machine_.paths.service(service_))) {
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
