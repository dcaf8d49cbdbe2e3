#pragma once

namespace drunner {

// A signal asks the whole process to stop, so this state is the process's own. Long work calls
// check_cancellation() between steps and in every wait.

// Async-signal-safe. Called by the signal handlers that host/signals.hpp installs.
void request_cancellation(int signal_number);

// The signal that asked, 0 while none did or while a CancellationShield stands.
int pending_cancellation();

// Throws Error(interrupted) where pending_cancellation() is not 0.
void check_cancellation();

// While one of these stands nothing is cancelled: undo must run to its end.
class CancellationShield {
  public:
    CancellationShield();
    ~CancellationShield();
    CancellationShield(const CancellationShield&) = delete;
    CancellationShield& operator=(const CancellationShield&) = delete;
};

}  // namespace drunner
