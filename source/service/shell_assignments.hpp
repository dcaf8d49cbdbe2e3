#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace drunner {

// A shell variable: a plain value is one word that is no array.
struct ShellValue {
    bool is_array = false;
    std::vector<std::string> words;
};
using ShellValues = std::map<std::string, ShellValue, std::less<>>;

// The first line, counted from 1, that assigns no literal: only a shell could tell what it means.
struct NeedsBash {
    int line;
    std::string text;
};
// The line at which every shell would give up.
struct MalformedShell {
    int line;
    std::string why;
};

// Reads a shell file of assignments as data: blank lines, comments (also after a value), a shebang,
// CRLF and a BOM, plain assignments, array literals on one or several lines, bare, single- and
// double-quoted words. The last assignment of a name counts. Nothing is executed. Throws NeedsBash
// or MalformedShell.
ShellValues parse_shell_assignments(std::string_view text);

// A variable's name.
bool is_shell_variable(std::string_view text);

}  // namespace drunner
