#include <chrono>

#include "cli/commands.hpp"
#include "container/watch.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/lock.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    constexpr std::chrono::milliseconds pause{1000};
    Machine& machine = invocation.machine();
    const FileLock lock =
        FileLock::acquire(machine.paths.watch_lock(), machine.command_line, machine.lock_wait);
    Watch watch(machine.engine, machine.clock, [&](const WatchAction& action) {
        if (action.kind == WatchAction::Kind::failed ||
            action.kind == WatchAction::Kind::cannot_start) {
            machine.progress.warning(action.text());
        } else {
            machine.progress.note(action.text());
        }
    });
    bool answers = true;
    while (pending_cancellation() == 0) {
        try {
            watch.follow();
            answers = true;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                break;
            }
            // Said once: an engine that is restarted is nothing unusual.
            if (answers) {
                machine.progress.warning(error.what());
            }
            answers = false;
            machine.clock.wait(pause);
        }
    }
    return {};
}

}  // namespace

constinit const Command watch_command{
    "watch",
    "",
    "start containers again that end, three times within a minute, and leave those that go on",
    "0 ended by a signal, 1 failed",
    {},
    0,
    0,
    false,
    run};

}  // namespace drunner
