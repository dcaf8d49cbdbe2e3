#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/engine.hpp"

namespace drunner {

// What decides whether a container is to be started again. The engine keeps all of it: its restart
// policy is the mark of what drunner wants of a container ("on-failure": that it runs, "no": that
// it is left alone), because it is the one thing that can be changed while the container exists.
struct ContainerState {
    std::string status;     // created running paused restarting removing exited dead
    std::string policy;     // "no", "on-failure", ...
    unsigned retries = 0;   // that the policy allows
    unsigned restarts = 0;  // by the policy, since somebody started it
    int exit_code = 0;
    std::int64_t started = 0;   // nanoseconds since the epoch, 0: never
    std::int64_t finished = 0;  // the same
};

ContainerState container_state(const Container& container);

// It ended, and nobody may start it again but a person: drunner watch said so (policy "no"), or the
// engine gave up on one that crashed within its last minute.
bool has_failed(const ContainerState& state);

// Whether it is one that runs no longer, and is not on its way to.
bool has_ended(const ContainerState& state);

// Somebody stopped it with `docker stop` or `docker kill`: the engine's own record, the one that
// "unless-stopped" goes by, out of ROOT/containers/ID/config.v2.json (`root` is the engine's
// DockerRootDir). The API does not tell it. Stopping the engine, or the host, does not count. False
// where there is no such record (an engine other than Docker, or on another host).
bool is_stopped_by_hand(const std::string& root, const std::string& id);

// "2026-11-22T18:30:00.123456789Z" in nanoseconds since the epoch; 0 for the year 1, which engines
// write for never, and for any other text.
std::int64_t parse_engine_time(const std::string& text);

inline constexpr std::chrono::seconds crash_window{60};
// Crashes within the window that are answered with a start; the next one is the last.
inline constexpr unsigned crash_budget = 3;

}  // namespace drunner
