#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "check/shell_text.hpp"

namespace drunner {

// The length of "NAME=", "NAME+=" or "NAME[...]=" at the front of a word, 0 where there is none.
std::size_t assignment_length(std::string_view text);
std::string assigned_name(std::string_view text);
// The assignment of a word "NAME=value"; `length` is that of "NAME=".
ShellAssignment assignment_of(ShellWord word, std::size_t length);
// The first word of it makes its words assignments: `export`, `local` ...
bool declares(const ShellCommand& command);

// Takes a script apart for read_shell_text, in one pass. Words and what is expanded in them are in
// shell_words.cpp, commands in shell_commands.cpp.
class ShellReader {
  public:
    explicit ShellReader(std::string_view text) : text_(text) {}

    ShellText read();

  private:
    struct PendingHereText {
        std::string delimiter;
        bool tabs_stripped = false;
        std::size_t index = 0;  // in ShellText::here_texts
    };

    // Counts how deep the recursion is; beyond the limit the rest of the text is passed over.
    class Depth {
      public:
        explicit Depth(ShellReader& reader) : reader_(reader) {
            // Deeper than any person writes: the stack of a stranger's making ends here.
            if (++reader_.depth_ > 100) {
                reader_.at_ = reader_.text_.size();
            }
        }
        ~Depth() { --reader_.depth_; }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;

      private:
        ShellReader& reader_;
    };

    bool at_end() const { return at_ >= text_.size(); }
    char peek(std::size_t ahead = 0) const;
    bool looking_at(std::string_view part) const { return text_.substr(at_).starts_with(part); }
    void advance(std::size_t count = 1);

    void skip_blanks();
    void skip_space();

    // Passes over the end of a line and the here-documents that begin after it.
    void newline();

    bool ends_list(char end) const;
    // A reserved word stands here, as a word of its own.
    bool reserved(std::string_view word) const;
    bool ends_word(std::size_t ahead = 0) const;

    // Reads commands up to the end of the list, which stays unread: ')', '}', '`', ';' for the arm
    // of a case, '\0' for the end of the text.
    void commands_until(char end);

    // A reserved word that only says how the commands around it hang together.
    std::string_view leading_word() const;

    ShellCommand::Link read_link();

    void one_command(bool condition, bool takes_pipe);

    void simple_command(bool condition, bool takes_pipe);

    void test_command(bool condition);

    void arithmetic();

    void function_body(const std::string& name, int line);

    void read_case();

    bool redirection(ShellCommand& command);

    // Reads one word. An array literal `NAME=(...)` goes to `array`, where one is wanted.
    ShellWord word(ShellAssignment* array = nullptr);
    // A parenthesis after these, or after "NAME=", belongs to the word.
    bool continues(const ShellWord& word) const;

    void array_words(const ShellWord& name, ShellAssignment& array);

    void take(ShellWord& word, std::size_t count, bool value = true);

    // One character, quoted text or expansion of a word.
    void piece(ShellWord& word, bool quoted);

    void backtick(ShellWord& word, bool quoted);

    // What was passed over since `begin` is text of the word.
    void keep(ShellWord& word, std::size_t begin);

    void substitution(ShellWord& word, std::size_t opening, bool quoted);

    void expansion(ShellWord& word, bool quoted);

    // ${...}; what stands inside, behind an operator, may be quoted and expanded again.
    void braced(ShellWord& word, bool quoted);

    std::string_view text_;
    std::size_t at_ = 0;
    int line_ = 1;
    int depth_ = 0;
    int backticks_ = 0;
    std::string function_;
    std::vector<PendingHereText> here_texts_;
    ShellText result_;
};

}  // namespace drunner
