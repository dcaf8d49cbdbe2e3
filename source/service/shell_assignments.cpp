#include "service/shell_assignments.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/text.hpp"

namespace drunner {
namespace {

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
    return is_name_start(c) || is_digit(c);
}

std::string without_carriage_returns(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.substr(0, byte_order_mark.size()) == byte_order_mark) {
        text.remove_prefix(byte_order_mark.size());
    }
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool ends_line = text[i] == '\r' && (i + 1 == text.size() || text[i + 1] == '\n');
        if (!ends_line) {
            result += text[i];
        }
    }
    return result;
}

// The part of bash's grammar that assigns literal words (POSIX shell language 2.2, 2.3, 2.10 and
// bash's arrays). Where bash would do more than that it stops with NeedsBash.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    ShellValues parse() {
        while (true) {
            skip_blanks();
            if (at_end()) {
                return std::move(values_);
            }
            if (peek() == '#') {
                skip_comment();
            } else if (peek() == '\n') {
                ++at_;
            } else {
                command();
            }
        }
    }

  private:
    enum class Place { assignment, declaration, array };

    bool at_end() const { return at_ == text_.size(); }
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    int line_at(std::size_t position) const {
        return 1 + static_cast<int>(std::count(
                       text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    }
    [[noreturn]] void needs_bash() const {
        const int line = line_at(at_);
        const std::vector<std::string> lines = split(text_, '\n');
        throw NeedsBash{line, std::string(trim(lines[static_cast<std::size_t>(line) - 1]))};
    }

    void skip_blanks() {
        while (!at_end()) {
            if (peek() == ' ' || peek() == '\t') {
                ++at_;
            } else if (peek() == '\\' && peek(1) == '\n') {
                at_ += 2;
            } else {
                return;
            }
        }
    }
    void skip_comment() { at_ = std::min(text_.find('\n', at_), text_.size()); }

    bool ends_word() const {
        return at_end() || std::string_view(" \t\n;&|<>()").find(peek()) != std::string_view::npos;
    }
    // Passes over the end of a command; false where the command goes on.
    bool end_of_command() {
        skip_blanks();
        if (at_end()) {
            return true;
        }
        if (peek() == '#') {
            skip_comment();
            return true;
        }
        if (peek() == '\n' || peek() == ';') {
            const bool semicolon = peek() == ';';
            ++at_;
            if (semicolon && (peek() == ';' || peek() == '&')) {
                needs_bash();
            }
            return true;
        }
        return false;
    }

    std::string_view bare_name() const {
        std::size_t end = at_;
        if (end < text_.size() && is_name_start(text_[end])) {
            while (end < text_.size() && is_name_part(text_[end])) {
                ++end;
            }
        }
        return std::string_view(text_).substr(at_, end - at_);
    }

    void command() {
        const std::string_view word = bare_name();
        const char after = peek(word.size());
        const bool is_word = after == ' ' || after == '\t';
        if (is_word &&
            (word == "readonly" || word == "export" || word == "declare" || word == "typeset")) {
            at_ += word.size();
            declaration(word == "readonly");
            return;
        }
        do {
            assignment(Place::assignment, false, false);
        } while (!end_of_command());
    }

    // What follows `readonly`, `export`, `declare` or `typeset`.
    void declaration(bool makes_readonly) {
        bool array = false;
        while (!end_of_command()) {
            if (peek() == '-') {
                ++at_;
                if (ends_word()) {
                    needs_bash();
                }
                for (; !ends_word(); ++at_) {
                    switch (peek()) {
                        case 'a':
                            array = true;
                            break;
                        case 'r':
                            makes_readonly = true;
                            break;
                        case 'x':
                        case 'g':
                            break;
                        default:
                            needs_bash();
                    }
                }
                continue;
            }
            const std::string_view name = bare_name();
            const char after = peek(name.size());
            const bool without_value =
                !name.empty() && after != '=' && after != '+' && after != '[';
            if (without_value) {
                at_ += name.size();
                if (!ends_word()) {
                    needs_bash();
                }
                if (makes_readonly) {
                    readonly_.emplace(name);
                }
                continue;
            }
            assignment(Place::declaration, makes_readonly, array);
        }
    }

    void assignment(Place place, bool makes_readonly, bool array) {
        const std::string name(bare_name());
        const std::size_t operator_at = name.size();
        const bool appends = peek(operator_at) == '+' && peek(operator_at + 1) == '=';
        if (name.empty() || (!appends && peek(operator_at) != '=') || readonly_.contains(name)) {
            needs_bash();
        }
        const std::size_t begin = at_;
        at_ += name.size() + (appends ? 2 : 1);
        ShellValue value;
        if (peek() == '(') {
            value = {true, array_words()};
            if (!ends_word()) {
                needs_bash();
            }
        } else {
            value = {false, {word(place)}};
        }
        const auto old = values_.find(name);
        const bool mixes = old != values_.end() && old->second.is_array != value.is_array;
        // An array with a plain value, and the other way round, is bash's element 0.
        if ((mixes && (appends || !value.is_array)) || (array && !value.is_array)) {
            at_ = begin;
            needs_bash();
        }
        if (appends && old != values_.end()) {
            std::vector<std::string>& words = old->second.words;
            if (value.is_array) {
                words.insert(words.end(), value.words.begin(), value.words.end());
            } else {
                words.front() += value.words.front();
            }
        } else {
            values_.insert_or_assign(name, std::move(value));
        }
        if (makes_readonly) {
            readonly_.insert(name);
        }
    }

    std::vector<std::string> array_words() {
        const int opened = line_at(at_);
        ++at_;
        std::vector<std::string> words;
        while (true) {
            skip_blanks();
            if (at_end()) {
                throw MalformedShell{opened, "the array that begins here is never closed"};
            }
            switch (peek()) {
                case '\n':
                    ++at_;
                    break;
                case '#':
                    skip_comment();
                    break;
                case ')':
                    ++at_;
                    return words;
                case ';':
                case '&':
                case '|':
                case '<':
                case '>':
                case '(':
                    needs_bash();
                default:
                    words.push_back(word(Place::array));
            }
        }
    }

    std::string word(Place place) {
        std::string value;
        // Where bash would look for a tilde: at the front, and behind = and :.
        bool tilde_counts = true;
        while (!ends_word()) {
            const char c = peek();
            switch (c) {
                case '\'':
                    single_quoted(value);
                    break;
                case '"':
                    double_quoted(value);
                    break;
                case '\\':
                    if (peek(1) == '\n') {
                        at_ += 2;
                        continue;
                    }
                    ++at_;
                    value += at_end() ? '\\' : text_[at_++];
                    break;
                case '$':
                    if (peek(1) == '\'' || peek(1) == '"') {
                        needs_bash();
                    }
                    dollar(value);
                    break;
                case '`':
                    needs_bash();
                case '~':
                    if (tilde_counts) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                case '*':
                case '?':
                case '[':
                    if (place == Place::array) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                case '{':
                    if (place != Place::assignment) {
                        needs_bash();
                    }
                    literal(value);
                    break;
                default:
                    literal(value);
            }
            tilde_counts = c == '=' || c == ':';
        }
        // Of these only the blanks, the line's end, `;` and an array's `)` end a word plainly.
        const bool plain_end =
            at_end() || std::string_view(" \t\n;").find(peek()) != std::string_view::npos;
        if (!plain_end && !(place == Place::array && peek() == ')')) {
            needs_bash();
        }
        return value;
    }

    void literal(std::string& value) { value += text_[at_++]; }

    void dollar(std::string& value) {
        constexpr std::string_view special = "{([@*#?-$!";
        const char next = peek(1);
        if (is_name_part(next) || (next != '\0' && special.find(next) != std::string_view::npos)) {
            needs_bash();
        }
        literal(value);
    }

    void single_quoted(std::string& value) {
        const std::size_t end = text_.find('\'', at_ + 1);
        if (end == std::string::npos) {
            throw MalformedShell{line_at(at_), "the quote that begins here is never closed"};
        }
        value += std::string_view(text_).substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
    }

    void double_quoted(std::string& value) {
        const int opened = line_at(at_);
        for (++at_; peek() != '"' || at_end();) {
            if (at_end()) {
                throw MalformedShell{opened, "the quote that begins here is never closed"};
            }
            if (peek() == '`') {
                needs_bash();
            } else if (peek() == '$') {
                dollar(value);
            } else if (peek() == '\\' && peek(1) == '\n') {
                at_ += 2;
            } else if (peek() == '\\' &&
                       std::string_view("$`\"\\").find(peek(1)) != std::string_view::npos) {
                ++at_;
                literal(value);
            } else {
                literal(value);
            }
        }
        ++at_;
    }

    std::string text_;
    std::size_t at_ = 0;
    ShellValues values_;
    // bash's own, and what the file made so: assigning to one is an error that bash judges.
    std::set<std::string, std::less<>> readonly_{"UID",       "EUID",     "PPID",
                                                 "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO"};
};

}  // namespace

ShellValues parse_shell_assignments(std::string_view text) {
    const std::string lines = without_carriage_returns(text);
    if (const std::size_t nul = lines.find('\0'); nul != std::string::npos) {
        const auto before =
            std::count(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(nul), '\n');
        throw MalformedShell{static_cast<int>(before) + 1, "a NUL byte, which no shell can read"};
    }
    return Parser(lines).parse();
}

bool is_shell_variable(std::string_view text) {
    return !text.empty() && is_name_start(text.front()) &&
           std::all_of(text.begin(), text.end(), is_name_part);
}

}  // namespace drunner
