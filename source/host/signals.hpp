#pragma once

namespace drunner {

// SIGINT, SIGTERM and SIGHUP request cancellation; SIGPIPE is ignored, so that a closed pipe is an
// error like any other. Children get the defaults back (host/process does that).
void install_signal_handlers();

}  // namespace drunner
