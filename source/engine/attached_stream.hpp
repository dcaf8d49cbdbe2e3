#pragma once

#include <functional>
#include <string>

#include "core/bytes.hpp"
#include "engine/engine.hpp"

namespace drunner {

// A request after which the connection carries a program's streams both ways ("hijacked", Engine
// API, section "attach to a container"): what libcurl cannot do.
struct AttachCall {
    std::string socket;
    std::string path;  // "/v1.41/exec/ID/start"
    std::string body;  // JSON
};

// Sends the request, hands the program what comes on request.input, and the sinks what it writes,
// until it closes its end. `resize` is told the terminal's size, at first and when it changed.
// Throws Error(engine_unreachable, engine_refused, interrupted).
void attach(const AttachCall& call, const ExecRequest& request,
            const std::function<void(unsigned columns, unsigned rows)>& resize, const ByteSink& out,
            const ByteSink& err);

}  // namespace drunner
