#include "core/error.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

// What one service's update came to, as it stands in the table; its error is said at once.
ServiceUpdate update_one(Machine& machine, const ServiceName& name, bool was_named) {
    ServiceUpdate told{name, UpdateVerdict::unchanged, {}, {}, {}};
    const Changes before = machine.changes == nullptr ? Changes() : *machine.changes;
    try {
        if (!was_named) {
            const std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
            if (const auto hold = manifest ? current_hold(machine, *manifest) : std::nullopt) {
                told.verdict = UpdateVerdict::held;
                told.reason = hold_words(*hold);
                return told;
            }
        }
        UpdateRequest request;
        request.spare_failed = !was_named;
        const UpdateResult result = update(machine, name, request);
        told.changes = result.changes;
        if (!result.spared.empty()) {
            told.verdict = UpdateVerdict::failed_before;
            told.reason = result.spared + " was rolled back; 'drunner update " + name.text() +
                          "' tries it again";
        } else if (result.outcome == Outcome::changed) {
            told.verdict = UpdateVerdict::updated;
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        machine.progress.warning("'" + name.text() + "': " + error.what());
        if (machine.changes != nullptr) {
            *machine.changes = before;
        }
        told.verdict = UpdateVerdict::failed;
        told.reason = error.what();
        told.error = error;
    }
    return told;
}

std::vector<ServiceUpdate> update_in_order(Machine& machine, const std::vector<ServiceName>& names,
                                           bool were_named) {
    std::vector<ServiceUpdate> updates;
    for (const ServiceName& name : names) {
        updates.push_back(update_one(machine, name, were_named));
    }
    return updates;
}

}  // namespace

std::vector<ServiceUpdate> update_each(Machine& machine, const std::vector<ServiceName>& names) {
    return update_in_order(machine, names, true);
}

std::vector<ServiceUpdate> update_all(Machine& machine) {
    return update_in_order(machine, Catalog(machine.paths).names(), false);
}

}  // namespace drunner
