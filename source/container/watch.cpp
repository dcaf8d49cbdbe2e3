#include "container/watch.hpp"

#include <algorithm>
#include <iterator>

#include "container/container_request.hpp"
#include "container/tenant.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr const char* engine_policy = "on-failure";
// With "on-failure" an engine that is restarted starts what was stopped by hand too, where that
// ended with an error, as it does by KILL. With this one it leaves it alone.
constexpr const char* policy_of_stopped = "unless-stopped";

bool is_watched(const Labels& labels) {
    const auto asked = labels.find(container_label::watch);
    return labels.contains(container_label::tenant) ||
           (asked != labels.end() && asked->second == "yes");
}

std::int64_t nanoseconds(std::chrono::nanoseconds time) {
    return time.count();
}

bool is_wanted(const ContainerState& state) {
    return has_ended(state) && !has_failed(state);
}

bool is_unwanted_policy(const ContainerState& state) {
    return state.policy.empty() || state.policy == "no";
}

// Empty where the start succeeded.
std::string start(Engine& engine, const Container& container) {
    try {
        engine.start_container(container.id);
        return {};
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted ||
            error.kind() == ErrorKind::engine_unreachable) {
            throw;
        }
        return error.what();
    }
}

}  // namespace

std::string WatchAction::text() const {
    const std::string name = "'" + printable(container) + "'";
    switch (kind) {
        case Kind::started:
            return "started " + name;
        case Kind::failed:
            return name + " failed: " + reason;
        case Kind::cannot_start:
            return "cannot start " + name + ": " + reason;
        case Kind::left:
            return "leaving " + name + " alone: it was stopped by hand";
        case Kind::adopted:
            break;
    }
    return "watching " + name;
}

std::vector<WatchAction> ensure_containers(Engine& engine) {
    std::vector<WatchAction> actions;
    const std::string root = engine.info().root_directory;
    for (const ContainerSummary& summary : engine.list_containers({})) {
        if (!is_watched(summary.labels) || (summary.state != "exited" && summary.state != "dead")) {
            continue;
        }
        const auto container = engine.find_container(summary.id);
        if (!container || !is_wanted(container_state(*container)) ||
            is_stopped_by_hand(root, container->id)) {
            continue;
        }
        std::string reason = start(engine, *container);
        actions.push_back(
            {reason.empty() ? WatchAction::Kind::started : WatchAction::Kind::cannot_start,
             container->name, std::move(reason)});
    }
    return actions;
}

unsigned Watch::crashes(const std::string& id) {
    const std::int64_t now = nanoseconds(clock_.now().time_since_epoch());
    const std::set<std::int64_t>& times = ends_[id];
    const auto first = times.lower_bound(now - nanoseconds(crash_window));
    return static_cast<unsigned>(std::distance(first, times.end()));
}

void Watch::forget_old() {
    const std::int64_t oldest =
        nanoseconds(clock_.now().time_since_epoch()) - nanoseconds(crash_window);
    std::erase_if(ends_, [&](const auto& one) {
        return one.second.empty() || *one.second.rbegin() < oldest;
    });
}

void Watch::consider(const std::string& id) {
    const auto container = engine_.find_container(id);
    if (!container || !is_watched(container->labels)) {
        return;
    }
    const ContainerState state = container_state(*container);
    const bool is_tenants = container->labels.contains(container_label::tenant);
    if (state.status == "running" &&
        (is_unwanted_policy(state) || (is_tenants && state.policy == policy_of_stopped))) {
        engine_.set_restart_policy(id, engine_policy, engine_restarts);
        report_({WatchAction::Kind::adopted, container->name, ""});
        return;
    }
    if (!has_ended(state) || is_unwanted_policy(state)) {
        return;
    }
    if (is_stopped_by_hand(root_, id)) {
        if (is_tenants && state.policy == engine_policy) {
            engine_.set_restart_policy(id, policy_of_stopped, 0);
            report_({WatchAction::Kind::left, container->name, ""});
        }
        return;
    }
    // Where the engine's word of this end is still to come, so may be that of ends before it: an
    // event is judged when it is the last.
    const std::int64_t now = nanoseconds(clock_.now().time_since_epoch());
    const std::set<std::int64_t>& heard = ends_[id];
    const std::int64_t last = heard.empty() ? 0 : *heard.rbegin();
    if (last < state.finished && state.finished > now - nanoseconds(crash_window)) {
        return;
    }
    const unsigned seen = crashes(id);
    // Of one that the engine gave up on while nobody watched, what was seen is not the whole.
    if (seen > crash_budget || (seen == 0 && has_failed(state))) {
        engine_.set_restart_policy(id, "no", 0);
        report_({WatchAction::Kind::failed, container->name,
                 "it ended more than " + std::to_string(crash_budget) +
                     " times within a minute, the last time with status " +
                     std::to_string(state.exit_code)});
        return;
    }
    std::string reason = start(engine_, *container);
    if (reason.empty()) {
        report_({WatchAction::Kind::started, container->name, ""});
        return;
    }
    ends_[id].insert(nanoseconds(clock_.now().time_since_epoch()));
    report_({WatchAction::Kind::cannot_start, container->name, std::move(reason)});
}

void Watch::consider_all() {
    for (const ContainerSummary& summary : engine_.list_containers({})) {
        if (is_watched(summary.labels)) {
            try {
                consider(summary.id);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::engine_not_found) {
                    throw;
                }
                // It was removed meanwhile.
            }
        }
    }
}

void Watch::take(const ContainerEvent& event) {
    last_event_ = std::max(last_event_, event.time);
    if (!is_watched(event.labels)) {
        return;
    }
    if (event.action == "die") {
        ends_[event.container].insert(event.time);
    }
    try {
        consider(event.container);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::engine_not_found) {
            throw;
        }
        ends_.erase(event.container);
    }
}

void Watch::follow() {
    constexpr std::chrono::seconds look_back{1};
    // The list is asked for again from time to time: what happened while nobody listened, and is
    // older than what the engine remembers, shows there only.
    constexpr std::chrono::seconds turn{60};
    root_ = engine_.info().root_directory;
    const std::int64_t now = nanoseconds(clock_.now().time_since_epoch());
    const std::int64_t since = std::max(last_event_ - nanoseconds(std::chrono::seconds(1)),
                                        now - nanoseconds(crash_window));
    // First every end is counted, then what stands ended is judged: an end that nobody listened to,
    // or that another drunner watch acted on, is no new budget.
    engine_.follow_events(since, look_back, [this](const ContainerEvent& event) {
        last_event_ = std::max(last_event_, event.time);
        if (event.action == "die" && is_watched(event.labels)) {
            ends_[event.container].insert(event.time);
        }
    });
    forget_old();
    consider_all();
    engine_.follow_events(since, turn, [this](const ContainerEvent& event) { take(event); });
}

}  // namespace drunner
