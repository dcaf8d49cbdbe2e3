#pragma once

#include <string>
#include <string_view>

namespace drunner {

// The hunks of a unified diff (three lines of context) that turn one text into the other, without
// the two lines that name files; empty where they are the same. Lines are as they are: what comes
// from a stranger still has to be made printable. Texts that differ too much for the shortest
// script to be worth its time become one hunk, still complete.
std::string unified_diff(std::string_view before, std::string_view after);

}  // namespace drunner
