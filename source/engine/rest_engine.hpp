#pragma once

#include <memory>
#include <string>

#include "engine/engine.hpp"

namespace drunner {

// The Docker Engine REST API over a Unix socket. The version is negotiated from /_ping at the
// first call: the newest of 1.41 to 1.44 that the engine speaks (engines of 20.10 stop at 1.41,
// today's begin at 1.44). Connections are kept and reused. Every wait has a limit and ends when
// cancellation is pending.
std::unique_ptr<Engine> make_rest_engine(const std::string& socket);

}  // namespace drunner
