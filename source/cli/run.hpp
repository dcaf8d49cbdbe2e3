#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"

namespace drunner {

// Runs one command line (the words after the program's name) and prints its answer, or its error:
// "drunner: MESSAGE" and "next: COMMAND" on stderr, with --json also a document on stdout. Answers
// the exit code: 0, 1 or 3. `make_machine` is called where a command needs one.
ExitCode run_command_line(const std::vector<std::string>& words, const MachineMaker& make_machine);

// This drunner's version, "0.1.0".
std::string drunner_version();

}  // namespace drunner
