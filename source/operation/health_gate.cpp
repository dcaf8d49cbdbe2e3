#include "operation/health_gate.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/service_containers.hpp"

namespace drunner {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr milliseconds time_between_looks{500};
constexpr std::chrono::minutes longest_wait_for_health{30};
constexpr unsigned log_lines = 50;

// What the engine takes where a HEALTHCHECK does not say (Dockerfile reference, HEALTHCHECK).
constexpr nanoseconds default_interval = seconds(30);
constexpr nanoseconds default_timeout = seconds(30);
constexpr std::int64_t default_retries = 3;

// How containers end that were asked to: by themselves, SIGKILL, SIGTERM.
constexpr std::array ordered_ends{0, 128 + 9, 128 + 15};

bool is_up(const Container& container) {
    return container.state == "running" || container.state == "paused" ||
           container.state == "restarting";
}

bool ended_badly(const Container& container) {
    const json state = json::parse(container.document).value("State", json::object());
    return state.value("OOMKilled", false) || container.state == "dead" ||
           std::find(ordered_ends.begin(), ordered_ends.end(), container.exit_code) ==
               ordered_ends.end();
}

// Numbers of the inspect answer are nanoseconds, 0 and absent mean the default.
milliseconds time_to_become_healthy(const Container& container) {
    const json config = json::parse(container.document).value("Config", json::object());
    const json check = config.value("Healthcheck", json::object());
    const auto number = [&](const char* key, std::int64_t otherwise) {
        const auto found = check.find(key);
        const std::int64_t value =
            found != check.end() && found->is_number() ? found->get<std::int64_t>() : 0;
        return value > 0 ? value : otherwise;
    };
    // In floating point: a stranger's numbers may be as large as they like.
    using Nanoseconds = std::chrono::duration<double, std::nano>;
    const Nanoseconds limit =
        Nanoseconds(static_cast<double>(number("StartPeriod", 0))) +
        static_cast<double>(number("Retries", default_retries)) *
            (Nanoseconds(static_cast<double>(number("Interval", default_interval.count()))) +
             Nanoseconds(static_cast<double>(number("Timeout", default_timeout.count()))));
    return std::chrono::duration_cast<milliseconds>(
        std::min(limit, Nanoseconds(longest_wait_for_health)));
}

std::string last_check(const Container& container) {
    const json state = json::parse(container.document).value("State", json::object());
    const json health = state.value("Health", json());
    if (!health.is_object() || !health.contains("Log") || !health["Log"].is_array() ||
        health["Log"].empty()) {
        return "";
    }
    const json& last = health["Log"].back();
    const std::string said = quoted_lines(last.value("Output", ""));
    return "; its last check ended with status " + std::to_string(last.value("ExitCode", 0)) +
           (said.empty() ? "" : " and said:" + said);
}

Error unhealthy(Machine& machine, const Container& container, const std::string& what) {
    std::string log;
    try {
        const auto take = [&](Bytes bytes) { log += as_text(bytes); };
        machine.engine.read_logs(container.id, log_lines, take, take);
    } catch (const Error& error) {
        // A container run with --rm takes its log along, and some log drivers cannot be read.
        machine.progress.detail(error.what());
    }
    const std::string lines = quoted_lines(log);
    return Error(ErrorKind::unhealthy, "container '" + printable(container.name) + "' " + what +
                                           (lines.empty() ? "" : "; its last lines:" + lines));
}

}  // namespace

struct HealthGate::Watched {
    Container first;  // as it was at the first look
    milliseconds time_to_health;
};

HealthGate::HealthGate(Machine& machine, ServiceName service)
    : machine_(machine), service_(std::move(service)) {
    for (const ContainerSummary& container : containers_of(machine_, service_)) {
        if (container.state == "running" || container.state == "restarting") {
            ran_before_.insert(container.name);
        }
    }
}

void HealthGate::updatestart_returned() {
    for (const ContainerSummary& summary : containers_of(machine_, service_)) {
        if (const auto container = machine_.engine.find_container(summary.id)) {
            starts_[container->id] = {container->started_at, is_up(*container)};
        }
    }
}

void HealthGate::require_healthy() {
    std::vector<Watched> all;
    for (const ContainerSummary& summary : containers_of(machine_, service_)) {
        const std::optional<Container> container = machine_.engine.find_container(summary.id);
        if (!container || container->state == "created") {
            continue;
        }
        if (is_up(*container)) {
            ran_before_.erase(container->name);
            all.push_back({*container, time_to_become_healthy(*container)});
            continue;
        }
        const auto before = starts_.find(container->id);
        const bool was_over = before != starts_.end() && !before->second.running &&
                              before->second.at == container->started_at;
        if (!was_over && ended_badly(*container)) {
            throw unhealthy(machine_, *container,
                            "ended with status " + std::to_string(container->exit_code));
        }
    }
    for (const std::string& name : ran_before_) {
        machine_.progress.warning("container '" + printable(name) +
                                  "' ran before, and the hooks did not start it again");
    }
    milliseconds elapsed{0};
    while (true) {
        bool all_settled = true;
        for (const Watched& one : all) {
            all_settled = settled(one, elapsed) && all_settled;
        }
        if (all_settled) {
            return;
        }
        check_cancellation();
        machine_.clock.wait(time_between_looks);
        check_cancellation();
        elapsed += time_between_looks;
    }
}

bool HealthGate::settled(const Watched& watched, milliseconds elapsed) {
    const std::optional<Container> now = machine_.engine.find_container(watched.first.id);
    if (!now) {
        throw unhealthy(machine_, watched.first, "ended and is gone");
    }
    if (now->restart_count != watched.first.restart_count ||
        now->started_at != watched.first.started_at) {
        throw unhealthy(machine_, *now,
                        "does not stay up: it was restarted " + std::to_string(now->restart_count) +
                            " times by now, the last time" + " after status " +
                            std::to_string(now->exit_code));
    }
    if (!is_up(*now)) {
        throw unhealthy(machine_, *now, "ended with status " + std::to_string(now->exit_code));
    }
    if (now->state == "paused") {
        return true;
    }
    const bool long_enough = elapsed >= milliseconds(machine_.config.health_uptime);
    if (now->state == "restarting") {
        if (long_enough) {
            throw unhealthy(machine_, *now,
                            "does not come up: it was restarted " +
                                std::to_string(now->restart_count) + " times by now");
        }
        return false;
    }
    if (now->health == "unhealthy") {
        throw unhealthy(machine_, *now, "is unhealthy" + last_check(*now));
    }
    if (now->health == "starting") {
        if (elapsed >= watched.time_to_health) {
            throw unhealthy(machine_, *now,
                            "did not become healthy within " +
                                std::to_string(watched.time_to_health / seconds(1)) + " s" +
                                last_check(*now));
        }
        return false;
    }
    return long_enough;
}

}  // namespace drunner
