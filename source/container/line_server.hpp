#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace drunner {

struct LineServerSettings {
    std::string socket;        // its path; what stands there is replaced
    std::size_t clients = 16;  // at once; one more is told so and sent away
    std::size_t longest_line =
        1U << 20U;         // bytes; a client with a longer one is told so, and sent away
    std::string busy;      // what the client too many is answered
    std::string too_long;  // what the one with the long line is answered
};

// Answers lines on a Unix socket that only root may use (mode 0600, and the peer's uid is asked
// of the kernel): one line in, one line out, in order, for each client; clients side by side.
// `answer` is called from several threads and must not throw. Returns when cancellation is pending
// and every answer in progress has been given; the socket is gone then. `listening` is called when
// clients may come. Throws Error(system).
void serve_lines(const LineServerSettings& settings,
                 const std::function<std::string(std::string_view line)>& answer,
                 const std::function<void()>& listening);

}  // namespace drunner
