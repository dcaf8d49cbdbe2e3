#pragma once

namespace drunner {

// The only three answers drunner ever gives its caller.
enum class ExitCode : int {
    done = 0,       // changed, or the question was answered
    error = 1,      // failed; what was there before is still there
    no_change = 3,  // nothing had to be done
};

// What an operation that succeeded did.
enum class Outcome { changed, unchanged };

constexpr ExitCode exit_code(Outcome outcome) {
    return outcome == Outcome::changed ? ExitCode::done : ExitCode::no_change;
}

}  // namespace drunner
