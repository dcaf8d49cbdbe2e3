#include "core/cancellation.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <optional>
#include <thread>

using namespace drunner;

namespace {

// What a thread of its own sees; with a scope it is work beside other work, without it a helper.
int seen_by_thread(bool with_scope) {
    int seen = -1;
    std::jthread([&] {
        std::optional<CancellationScope> scope;
        if (with_scope) {
            scope.emplace();
        }
        seen = pending_cancellation();
    }).join();
    return seen;
}

}  // namespace

TEST_CASE("a shield stands for who put it up and for helpers, not for work beside it") {
    request_cancellation(SIGTERM);
    CHECK(pending_cancellation() == SIGTERM);
    CHECK(seen_by_thread(true) == SIGTERM);
    std::jthread([] {
        const CancellationScope scope;
        {
            const CancellationShield shield;
            CHECK(pending_cancellation() == 0);
            CHECK(seen_by_thread(false) == 0);
            CHECK(seen_by_thread(true) == SIGTERM);
        }
        CHECK(pending_cancellation() == SIGTERM);
        CHECK(seen_by_thread(false) == SIGTERM);
    }).join();
    {
        const CancellationShield shield;
        CHECK(pending_cancellation() == 0);
        CHECK(seen_by_thread(false) == 0);
    }
    request_cancellation(0);
}
