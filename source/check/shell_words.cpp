#include <algorithm>
#include <array>

#include "check/shell_reader.hpp"

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

}  // namespace

std::size_t assignment_length(std::string_view text) {
    if (text.empty() || !is_name_start(text.front())) {
        return 0;
    }
    std::size_t at = 1;
    while (at < text.size() && is_name_part(text[at])) {
        ++at;
    }
    if (at < text.size() && text[at] == '[') {
        const std::size_t close = text.find(']', at);
        if (close == std::string_view::npos) {
            return 0;
        }
        at = close + 1;
    }
    if (at < text.size() && text[at] == '+') {
        ++at;
    }
    return at < text.size() && text[at] == '=' ? at + 1 : 0;
}

std::string assigned_name(std::string_view text) {
    return std::string(text.substr(0, text.find_first_of("[+=")));
}

bool declares(const ShellCommand& command) {
    constexpr std::array<std::string_view, 5> words{"export", "local", "declare", "readonly",
                                                    "typeset"};
    return !command.words.empty() &&
           std::find(words.begin(), words.end(), command.words[0].value) != words.end();
}

ShellAssignment assignment_of(ShellWord word, std::size_t length) {
    ShellAssignment one{assigned_name(word.text), {}, word.line};
    word.text.erase(0, length);
    word.value.erase(0, length);
    one.words.push_back(std::move(word));
    return one;
}

ShellWord ShellReader::word(ShellAssignment* array) {
    const Depth depth(*this);
    ShellWord result;
    result.line = line_;
    while (!at_end() && !(ends_word() && !continues(result))) {
        if (peek() == '(' && array != nullptr && assignment_length(result.text) > 0 &&
            assignment_length(result.text) == result.text.size()) {
            array_words(result, *array);
            return result;
        }
        if ((peek() == '<' || peek() == '>') && peek(1) == '(') {
            substitution(result, 2, false);
            continue;
        }
        piece(result, false);
    }
    return result;
}

bool ShellReader::continues(const ShellWord& word) const {
    if ((peek() == '<' || peek() == '>') && peek(1) == '(') {
        return true;
    }
    return peek() == '(' && assignment_length(word.text) > 0 &&
           assignment_length(word.text) == word.text.size();
}

void ShellReader::array_words(const ShellWord& name, ShellAssignment& array) {
    array.name = assigned_name(name.text);
    array.line = name.line;
    advance();
    while (true) {
        skip_space();
        if (at_end() || peek() == ')') {
            advance();
            return;
        }
        const std::size_t before = at_;
        array.words.push_back(word());
        if (at_ == before) {
            advance();
        }
    }
}

void ShellReader::take(ShellWord& word, std::size_t count, bool value) {
    const std::string_view part = text_.substr(at_, count);
    word.text += part;
    if (value) {
        word.value += part;
    }
    advance(count);
}

void ShellReader::piece(ShellWord& word, bool quoted) {
    const char c = peek();
    if (c == '\\') {
        take(word, 1, quoted);
        if (!at_end()) {
            take(word, 1);
        }
    } else if (c == '\'' && !quoted) {
        const std::size_t close = text_.find('\'', at_ + 1);
        const std::size_t end = close == std::string_view::npos ? text_.size() : close;
        take(word, 1, false);
        take(word, end - at_);
        take(word, 1, false);
    } else if (c == '"' && !quoted) {
        take(word, 1, false);
        while (!at_end() && peek() != '"') {
            piece(word, true);
        }
        take(word, 1, false);
    } else if (c == '`') {
        backtick(word, quoted);
    } else if (c == '$') {
        expansion(word, quoted);
    } else {
        take(word, 1);
    }
}

void ShellReader::backtick(ShellWord& word, bool quoted) {
    if (backticks_ > 0) {
        take(word, 1);
        return;
    }
    word.expansions.push_back({"", quoted, false, false, line_});
    const std::size_t begin = at_;
    advance();
    ++backticks_;
    commands_until('`');
    --backticks_;
    advance();
    keep(word, begin);
}

void ShellReader::keep(ShellWord& word, std::size_t begin) {
    const std::string_view part = text_.substr(begin, at_ - begin);
    word.text += part;
    word.value += part;
}

void ShellReader::substitution(ShellWord& word, std::size_t opening, bool quoted) {
    word.expansions.push_back({"", quoted, false, false, line_});
    const std::size_t begin = at_;
    advance(opening);
    commands_until(')');
    advance();
    keep(word, begin);
}

void ShellReader::expansion(ShellWord& word, bool quoted) {
    const char next = peek(1);
    if (next == '(' && peek(2) == '(') {
        const std::size_t begin = at_;
        advance();
        arithmetic();
        keep(word, begin);
    } else if (next == '(') {
        substitution(word, 2, quoted);
    } else if (next == '{') {
        braced(word, quoted);
    } else if (next == '\'' && !quoted) {
        take(word, 2, false);
        while (!at_end() && peek() != '\'') {
            take(word, peek() == '\\' ? 2 : 1);
        }
        take(word, 1, false);
    } else if (is_name_start(next)) {
        std::size_t length = 2;
        while (is_name_part(peek(length))) {
            ++length;
        }
        word.expansions.push_back(
            {std::string(text_.substr(at_ + 1, length - 1)), quoted, false, false, line_});
        take(word, length);
    } else if (is_digit(next) ||
               (next != '\0' && std::string_view("@*#?$!-").find(next) != std::string::npos)) {
        word.expansions.push_back({std::string(1, next), quoted, false, false, line_});
        take(word, 2);
    } else {
        take(word, 1);
    }
}

void ShellReader::braced(ShellWord& word, bool quoted) {
    const Depth depth(*this);
    ShellExpansion one;
    one.quoted = quoted;
    one.line = line_;
    take(word, 2);
    // ${#NAME} is a number and ${!NAME} another variable's value.
    const bool length = peek() == '#' && peek(1) != '}';
    if (length || peek() == '!') {
        take(word, 1);
    }
    if (is_name_start(peek()) || is_digit(peek())) {
        while (is_name_part(peek())) {
            one.name += peek();
            take(word, 1);
        }
    } else if (!at_end() && peek() != '}') {
        one.name = std::string(1, peek());
        take(word, 1);
    }
    if (looking_at("[@]") || looking_at("[*]")) {
        one.array = true;
        take(word, 3);
    }
    const char sign = peek() == ':' ? peek(1) : peek();
    // The value itself is not used where a word stands in for it.
    const bool replaced = sign == '+';
    one.guarded = sign != '\0' && std::string_view("-=?+").find(sign) != std::string::npos;
    one.quoted = quoted || length || replaced;
    word.expansions.push_back(one);
    while (!at_end() && peek() != '}') {
        if (quoted && peek() == '"') {
            take(word, 1, false);
            while (!at_end() && peek() != '"') {
                piece(word, true);
            }
            take(word, 1, false);
        } else {
            piece(word, quoted);
        }
    }
    take(word, 1);
}

}  // namespace drunner
