#pragma once

#include <string>
#include <vector>

#include "operation/machine.hpp"

namespace drunner {

// Removes the scratch services of drills that were killed, and answers their names. One whose drill
// still goes on stays.
std::vector<std::string> remove_abandoned_drills(Machine& machine);

}  // namespace drunner
