#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "container/container_state.hpp"
#include "engine/engine.hpp"
#include "host/clock.hpp"

namespace drunner {

// Keeps running what is wanted: every tenant's container, and the containers of services that carry
// the label drunner.watch=yes. Not all of a service's: its scripts run jobs too, which are to end.
//
// A container is wanted while its restart policy is other than "no". One that failed has "no";
// where somebody starts it by hand it is wanted again. One that somebody stopped with `docker stop`
// is left alone until somebody starts it.

// What was done about one container, for the log and for people.
struct WatchAction {
    enum class Kind {
        started,
        failed,        // crashed too often: its policy is "no" from now on
        cannot_start,  // `reason` says why
        left,          // stopped by hand: its policy is "unless-stopped" until it runs again
        adopted,       // runs with policy "no": the engine restarts its crashes from now on
    };
    Kind kind = Kind::started;
    std::string container;  // the engine's name
    std::string reason;

    std::string text() const;  // "started 'drunner.a.web'"
};

// One pass: starts what is wanted and does not run, for boot.
std::vector<WatchAction> ensure_containers(Engine& engine);

class Watch {
  public:
    using Report = std::function<void(const WatchAction&)>;

    Watch(Engine& engine, Clock& clock, Report report)
        : engine_(engine), clock_(clock), report_(std::move(report)) {}

    // One connection to the engine: looks at everything, then follows what happens for a while (or
    // until the engine ends the stream, which throws Error(engine_unreachable)). To be called again
    // and again.
    void follow();

  private:
    void consider_all();
    void consider(const std::string& id);
    void take(const ContainerEvent& event);
    unsigned crashes(const std::string& id);
    void forget_old();

    Engine& engine_;
    Clock& clock_;
    Report report_;
    std::string root_;
    // By container, the times (nanoseconds since the epoch) of its last ends: a set, because the
    // engine tells what it told before when it is asked again.
    std::map<std::string, std::set<std::int64_t>> ends_;
    std::int64_t last_event_ = 0;
};

}  // namespace drunner
