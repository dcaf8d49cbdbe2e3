#include "core/cancellation.hpp"

#include <string.h>

#include <atomic>
#include <string>

#include "core/error.hpp"

namespace drunner {
namespace {

std::atomic<int> requested_signal{0};
std::atomic<int> shields{0};
static_assert(std::atomic<int>::is_always_lock_free);

thread_local bool has_scope = false;
thread_local int own_shields = 0;

}  // namespace

void request_cancellation(int signal_number) {
    requested_signal.store(signal_number);
}

int pending_cancellation() {
    const int standing = has_scope ? own_shields : shields.load();
    return standing > 0 ? 0 : requested_signal.load();
}

void check_cancellation() {
    if (const int signal_number = pending_cancellation(); signal_number != 0) {
        throw Error(ErrorKind::interrupted,
                    std::string("interrupted by SIG") + sigabbrev_np(signal_number));
    }
}

CancellationShield::CancellationShield() {
    shields.fetch_add(1);
    ++own_shields;
}
CancellationShield::~CancellationShield() {
    shields.fetch_sub(1);
    --own_shields;
}

CancellationScope::CancellationScope() {
    has_scope = true;
}
CancellationScope::~CancellationScope() {
    has_scope = false;
}

}  // namespace drunner
