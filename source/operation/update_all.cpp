#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "core/error.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "operation/release_plan.hpp"
#include "operation/side_by_side.hpp"

namespace drunner {
namespace {

// Asks the registries meanwhile what the references of services name now, so that each update finds
// its answer there: whom a registry is far from waits for one after the other only as long as for
// all at once. A registry is asked for a reference once, and by two at a time at most; that is
// Registry's to see to.
class AskedAhead {
  public:
    AskedAhead(Machine& machine, const std::vector<ServiceName>& names)
        : registry_(machine.registry), references_(references_of(machine, names)) {
        constexpr std::size_t askers = 2;
        // One reference is asked for by its update just as soon.
        for (std::size_t i = 0; i < askers && references_.size() > 1; ++i) {
            askers_.emplace_back([this](const std::stop_token& stop) { ask(stop); });
        }
    }

  private:
    static std::vector<ImageReference> references_of(const Machine& machine,
                                                     const std::vector<ServiceName>& names) {
        std::vector<ImageReference> references;
        std::set<std::string> seen;
        for (const ServiceName& name : names) {
            try {
                const std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
                // A local image is asked for nowhere; the other policies pull, or never ask.
                if (manifest && !manifest->hold && !manifest->release().image_digest.empty() &&
                    pull_policy_of(machine, manifest->pull) == PullPolicy::automatic &&
                    seen.insert(manifest->release().reference).second) {
                    references.emplace_back(manifest->release().reference);
                }
            } catch (const Error&) {
                continue;  // its update says what is wrong
            }
        }
        return references;
    }

    void ask(const std::stop_token& stop) {
        try {
            for (std::size_t i = next_++; i < references_.size() && !stop.stop_requested();
                 i = next_++) {
                registry_.resolve(references_[i]);
            }
        } catch (const Error&) {
            // Interrupted: the update that goes on is as well.
        }
    }

    Registry& registry_;
    std::vector<ImageReference> references_;
    std::atomic<std::size_t> next_ = 0;
    std::vector<std::jthread> askers_;
};

// What one service's update came to, as it stands in the table; its error is said at once.
ServiceUpdate update_one(Machine& machine, const ServiceName& name, Attendance attendance) {
    ServiceUpdate told{name, UpdateVerdict::unchanged, {}, {}, {}};
    const Changes before = machine.changes == nullptr ? Changes() : *machine.changes;
    try {
        if (attendance == Attendance::unattended) {
            const std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
            if (const auto hold = manifest ? current_hold(machine, *manifest) : std::nullopt) {
                told.verdict = UpdateVerdict::held;
                told.reason = hold_words(*hold);
                return told;
            }
        }
        UpdateRequest request;
        request.spare_failed = attendance == Attendance::unattended;
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
        tell_failure(machine, name.text(), error);
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
                                           Attendance attendance, unsigned jobs) {
    const AskedAhead ahead(machine, names);
    const ServiceOrder order = order_services(names, installed_after(machine, names));
    for (const std::string& cycle : order.cycles) {
        machine.progress.warning(cycle);
    }
    std::vector<ServiceUpdate> updates;
    for (const ServiceName& name : names) {
        updates.push_back({name, UpdateVerdict::unchanged, {}, {}, {}});
    }
    work_side_by_side(machine, order.list, jobs, [&](Machine& own, std::size_t place) {
        updates[place] = update_one(own, names[place], attendance);
        return updates[place].verdict != UpdateVerdict::failed;
    });
    return updates;
}

}  // namespace

std::vector<ServiceUpdate> update_each(Machine& machine, const std::vector<ServiceName>& names,
                                       Attendance attendance, unsigned jobs) {
    std::vector<ServiceName> once;
    for (const ServiceName& name : names) {
        if (std::find(once.begin(), once.end(), name) == once.end()) {
            once.push_back(name);
        }
    }
    return update_in_order(machine, once, attendance, jobs);
}

std::vector<ServiceUpdate> update_all(Machine& machine, unsigned jobs) {
    return update_in_order(machine, Catalog(machine.paths).names(), Attendance::unattended, jobs);
}

}  // namespace drunner
