#include "host/signals.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <array>

#include "core/cancellation.hpp"

TEST_CASE("a signal asks to stop, and a closed pipe does not kill") {
    constexpr std::array numbers{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    std::array<struct sigaction, numbers.size()> before{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        sigaction(numbers[i], nullptr, &before[i]);
    }
    drunner::install_signal_handlers();
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        raise(number);
        CHECK(drunner::pending_cancellation() == number);
        drunner::request_cancellation(0);
    }
    raise(SIGPIPE);
    CHECK(drunner::pending_cancellation() == 0);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        sigaction(numbers[i], &before[i], nullptr);
    }
}
