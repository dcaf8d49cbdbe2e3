#include "core/error.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"

namespace drunner {
namespace {

std::int64_t seconds_of(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

HoldResult change_hold(Machine& machine, const ServiceName& name,
                       const std::optional<Hold>& wanted) {
    const ServiceSession session(machine, name);
    Manifest manifest = Catalog(machine.paths).load(name);
    const std::optional<Hold> standing = current_hold(machine, manifest);
    const bool same_length =
        standing.has_value() == wanted.has_value() && (!wanted || standing->until == wanted->until);
    if (same_length) {
        return {Outcome::unchanged, standing};
    }
    const Facts before = facts_of(manifest);
    manifest.hold = wanted;
    tell_facts(machine, name, before, facts_of(manifest));
    if (machine.check) {
        return {Outcome::changed, wanted};
    }
    transact(machine, name, wanted ? "hold" : "release", [&](Transaction& transaction) {
        transaction.perform(write_manifest(machine, manifest));
    });
    return {Outcome::changed, wanted};
}

}  // namespace

HoldResult hold(Machine& machine, const ServiceName& name,
                const std::optional<std::chrono::seconds>& length) {
    const TimePoint now = machine.clock.now();
    return change_hold(machine, name,
                       Hold{iso8601(now), length ? seconds_of(now + *length) : std::int64_t{0}});
}

HoldResult release_hold(Machine& machine, const ServiceName& name) {
    return change_hold(machine, name, std::nullopt);
}

std::optional<Hold> current_hold(Machine& machine, const Manifest& manifest) {
    const bool stands = manifest.hold && (manifest.hold->until == 0 ||
                                          seconds_of(machine.clock.now()) < manifest.hold->until);
    return stands ? manifest.hold : std::nullopt;
}

std::string hold_end(const Hold& hold) {
    return hold.until == 0 ? std::string() : iso8601(TimePoint(std::chrono::seconds(hold.until)));
}

std::string hold_words(const Hold& hold) {
    return "since " + hold.since + (hold.until == 0 ? "" : " until " + hold_end(hold));
}

}  // namespace drunner
