#include "host/signals.hpp"

#include <signal.h>

#include "core/cancellation.hpp"

namespace drunner {

void install_signal_handlers() {
    struct sigaction action {};
    sigemptyset(&action.sa_mask);
    action.sa_handler = request_cancellation;
    // Without SA_RESTART: a wait in the kernel ends, and its caller looks for the cancellation.
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGHUP, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace drunner
