#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"

namespace drunner {

struct CommandLine {
    const Command* command = nullptr;  // nullptr: none was named
    Arguments arguments;
    bool version = false;  // --version
};

// Reads the words after the program's name. Parsing stops at the name of a service whose further
// words are its own. Throws Error(usage) naming the word, with the nearest command or option.
CommandLine parse_command_line(const std::vector<std::string>& words);

// Whether --json stands among drunner's own words: needed before they are known to be right.
bool wants_json(const std::vector<std::string>& words);
// The same for --progress json.
bool wants_events(const std::vector<std::string>& words);

}  // namespace drunner
