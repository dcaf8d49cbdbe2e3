#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/engine.hpp"

namespace drunner {

// How long to wait for the engine.
struct EngineLimits {
    std::chrono::milliseconds connect{10'000};
    std::chrono::milliseconds answer{60'000};  // of a question, or the next bytes of a stream
    std::chrono::milliseconds work{
        1'800'000};                           // of a change: copying an image's content takes time
    std::chrono::milliseconds pull{600'000};  // between two messages of a pull
};

// The Docker Engine REST API over a Unix socket. The version is negotiated from /_ping at the
// first call: the engine's own, at most 1.47, at least 1.41 (engines of 20.10 stop at 1.41, today's
// begin at 1.44). Connections are kept and reused. Every wait has a limit and ends when
// cancellation is pending.
std::unique_ptr<Engine> make_rest_engine(const std::string& socket, EngineLimits limits = {});

// What a spec means to the engine: the body of POST /containers/create, JSON.
std::string container_body(const ContainerSpec& spec);

}  // namespace drunner
