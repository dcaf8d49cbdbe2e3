#pragma once

#include <string>
#include <vector>

namespace drunner {

// What became of one of several things, as a line for people.
struct ResultRow {
    std::string name;
    std::string result;  // one or two words
    std::string what;    // more of it, may be empty; its first line is shown
};

// The table of a command that worked on several, under `title` ("SERVICE"); `none` where there is
// no row.
std::string result_table(const std::vector<ResultRow>& rows, const std::string& title,
                         const std::string& none);

}  // namespace drunner
