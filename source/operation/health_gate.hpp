#pragma once

#include <map>
#include <set>
#include <string>

#include "core/service_name.hpp"
#include "operation/machine.hpp"

namespace drunner {

// Whether a service came through an update: asked of the containers that ran when `updatestart`
// returned and of those that were started since. One that the hooks stopped and did not start is
// named in a warning, not a failure.
class HealthGate {
  public:
    // Notes what runs: to be made before `updatestart` is called.
    HealthGate(Machine& machine, ServiceName service);

    void updatestart_returned();

    // After `updateend`. Returns once every one of these containers has run for HEALTHUPTIME
    // without a restart, and is healthy where it has a HEALTHCHECK. Throws Error(unhealthy) as soon
    // as one ended with a failure, is gone, was restarted, is unhealthy, or did not become healthy
    // within its own numbers (start period and retries times interval and timeout, at most half an
    // hour); the error has the answer of its last check and the last 50 lines of its log. Throws
    // Error(interrupted). Waits by the machine's clock; not at all where nothing runs.
    void require_healthy();

  private:
    struct Watched;
    bool settled(const Watched& watched, std::chrono::milliseconds elapsed);

    Machine& machine_;
    ServiceName service_;
    std::set<std::string> ran_before_;  // names
    struct Start {
        std::string at;
        bool running = false;
    };
    std::map<std::string, Start> starts_;  // by container id, when updatestart had returned
};

}  // namespace drunner
