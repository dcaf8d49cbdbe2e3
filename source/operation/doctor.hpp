#pragma once

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"

namespace drunner {

// One thing that is not as it should be.
struct DoctorFinding {
    enum class State {
        found,   // told only
        mended,  // it was, and is no more
        remains  // it could not be mended; `next` is for a person
    };
    std::string check;    // the row of the table that found it, a stable word
    std::string service;  // empty: it belongs to no one service
    std::string what;
    std::string why;   // what it matters
    std::string next;  // the command to type
    State state = State::found;
    bool mendable = false;  // by `doctor --fix`
};

struct DoctorRequest {
    std::vector<ServiceName> services;  // empty: all of them, the host and the engine too
    bool fix = false;
};

// Looks for orphans, half states and decay. Without `fix` it changes nothing and takes no lock; a
// service that another drunner works on is left alone. With `fix` it mends what can be mended
// without losing data: interrupted operations are finished or undone first, everything is looked
// at again afterwards. With --check it only looks, and what could be mended is `mendable`. Touches
// nothing that does not carry this installation's label, stands in its directories, or is recorded
// in a service.json of it. Throws Error(not_installed) for a name without a trace.
std::vector<DoctorFinding> doctor(Machine& machine, const DoctorRequest& request);

// The finding that the operator's settings cannot be read, which keeps doctor from looking further.
DoctorFinding settings_finding(const Error& error);

}  // namespace drunner
