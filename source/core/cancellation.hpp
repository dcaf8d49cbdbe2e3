#pragma once

namespace drunner {

// A signal asks the whole process to stop, so this state is the process's own. Long work calls
// check_cancellation() between steps and in every wait.

// Async-signal-safe. Called by the signal handlers that host/signals.hpp installs.
void request_cancellation(int signal_number);

// The signal that asked, 0 while none did or while a CancellationShield stands for this thread.
int pending_cancellation();

// Throws Error(interrupted) where pending_cancellation() is not 0.
void check_cancellation();

// While one of these stands nothing is cancelled: undo must run to its end. It stands for the
// thread that made it where that has a CancellationScope, and for every thread that has none.
class CancellationShield {
  public:
    CancellationShield();
    ~CancellationShield();
    CancellationShield(const CancellationShield&) = delete;
    CancellationShield& operator=(const CancellationShield&) = delete;
};

// A thread that makes one of these does work of its own beside the work of others: only its own
// shields keep a cancellation from it, so that one which undoes does not make the others go on. The
// helpers of somebody's work make none. Any shield stands for them, so none of them ends before the
// undo that it works for; who waits for them sees the cancellation.
class CancellationScope {
  public:
    CancellationScope();
    ~CancellationScope();
    CancellationScope(const CancellationScope&) = delete;
    CancellationScope& operator=(const CancellationScope&) = delete;
};

}  // namespace drunner
