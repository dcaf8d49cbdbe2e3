#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace drunner {

// A bash script as rules look at it: its simple commands, cases, functions and assignments, with
// their lines. Comments are gone, here-documents are apart, and what stands in quotes is text. It
// is a reading aid and no interpreter: nothing is expanded, and text that no shell would take gives
// what was understood of it. (Grammar: POSIX Shell Command Language, bash's manual.)

// $NAME, ${NAME...}, $1, $@ or, with an empty name, $(...).
struct ShellExpansion {
    std::string name;
    bool quoted = false;  // inside double quotes
    bool guarded =
        false;           // ${NAME:-...}, ${NAME:?...} and the like: an empty value is provided for
    bool array = false;  // ${NAME[@]} or ${NAME[*]}
    int line = 0;
};

struct ShellWord {
    std::string text;   // as written
    std::string value;  // without its quotes; expansions stand as written
    std::vector<ShellExpansion> expansions;
    int line = 0;

    bool literal() const { return expansions.empty(); }
    bool mentions(std::string_view variable) const;
};

struct ShellAssignment {
    std::string name;
    std::vector<ShellWord> words;  // one, or those of an array
    int line = 0;
};

struct ShellRedirection {
    std::string sign;  // "<", ">", ">>", "<<", "<<<", "&>" ...
    ShellWord target;
};

struct ShellCommand {
    // What stands between it and the next command.
    enum class Link { end, pipe, and_if, or_if, background };

    std::vector<ShellAssignment> assignments;  // before the first word, and declared arrays
    std::vector<ShellWord> words;
    std::vector<ShellRedirection> redirections;
    std::vector<std::size_t> here_texts;  // its here-documents, in ShellText::here_texts
    std::string function;                 // that it stands in, empty at the top
    Link link = Link::end;
    bool takes_pipe = false;  // stdin is the command before it
    bool condition = false;   // of if, while or until
    int line = 0;

    // The program or function, past `exec`, `command`, `sudo`, `env`, `time`, `timeout N`; empty
    // where there is none.
    std::string name() const;
    // The words after that.
    std::vector<const ShellWord*> arguments() const;
};

// A part of the commands: [first, last).
struct ShellRange {
    std::size_t first = 0;
    std::size_t last = 0;
};

struct ShellArm {
    std::vector<std::string> patterns;  // without quotes
    ShellRange body;
    int line = 0;
};

struct ShellCase {
    ShellWord subject;
    std::vector<ShellArm> arms;
    std::string function;
    int line = 0;
};

struct ShellFunction {
    std::string name;
    ShellRange body;
    int line = 0;
};

struct ShellText {
    std::vector<ShellCommand> commands;  // one inside $(...) comes before the one around it
    std::vector<ShellCase> cases;
    std::vector<ShellFunction> functions;
    std::vector<std::string> here_texts;

    const ShellFunction* find_function(std::string_view name) const;
    // The commands of the range and of every function that they call, each once.
    std::vector<const ShellCommand*> reached_from(ShellRange range) const;
    ShellRange all() const { return {0, commands.size()}; }
    // Every assignment, `export`, `local`, `declare`, `readonly` and `typeset` too.
    std::vector<ShellAssignment> assignments() const;
};

ShellText read_shell_text(std::string_view text);

}  // namespace drunner
