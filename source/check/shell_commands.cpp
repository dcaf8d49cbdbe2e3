#include <algorithm>
#include <utility>

#include "check/shell_reader.hpp"

namespace drunner {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

}  // namespace

ShellText ShellReader::read() {
    while (!at_end()) {
        const std::size_t before = at_;
        commands_until('\0');
        // A stray ')' or ';;' ends a list that nobody opened.
        if (at_ == before) {
            advance();
        }
    }
    return std::move(result_);
}

char ShellReader::peek(std::size_t ahead) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
}

void ShellReader::advance(std::size_t count) {
    for (; count > 0 && !at_end(); --count) {
        line_ += text_[at_] == '\n' ? 1 : 0;
        ++at_;
    }
}

void ShellReader::skip_blanks() {
    while (!at_end()) {
        if (is_blank(peek())) {
            advance();
        } else if (peek() == '\\' && peek(1) == '\n') {
            advance(2);
        } else if (peek() == '#') {
            while (!at_end() && peek() != '\n') {
                advance();
            }
        } else {
            return;
        }
    }
}

void ShellReader::skip_space() {
    skip_blanks();
    while (peek() == '\n' && !at_end()) {
        newline();
        skip_blanks();
    }
}

void ShellReader::newline() {
    advance();
    const std::vector<PendingHereText> pending = std::exchange(here_texts_, {});
    for (const PendingHereText& here : pending) {
        while (!at_end()) {
            const std::size_t end = std::min(text_.find('\n', at_), text_.size());
            std::string_view line = text_.substr(at_, end - at_);
            if (here.tabs_stripped) {
                line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
            }
            advance(end - at_ + 1);
            if (line == here.delimiter) {
                break;
            }
            result_.here_texts[here.index].append(line).push_back('\n');
        }
    }
}

bool ShellReader::ends_list(char end) const {
    if (end == ')' || end == '`') {
        return peek() == end;
    }
    if (end == ';') {
        return looking_at(";;") || looking_at(";&") || reserved("esac");
    }
    return end == '}' && reserved("}");
}

bool ShellReader::reserved(std::string_view word) const {
    return looking_at(word) && ends_word(word.size());
}

bool ShellReader::ends_word(std::size_t ahead) const {
    if (at_ + ahead >= text_.size()) {
        return true;
    }
    const char c = peek(ahead);
    return is_blank(c) || std::string_view("\n;&|<>()").find(c) != std::string_view::npos ||
           (c == '`' && backticks_ > 0);
}

void ShellReader::commands_until(char end) {
    const Depth depth(*this);
    bool condition = false;
    bool takes_pipe = false;
    while (true) {
        skip_space();
        if (at_end() || (end != '\0' && ends_list(end))) {
            return;
        }
        if (const std::string_view word = leading_word(); !word.empty()) {
            advance(word.size());
            if (word == "if" || word == "elif" || word == "while" || word == "until") {
                condition = true;
            } else if (word == "then" || word == "do") {
                condition = false;
            }
            continue;
        }
        const std::size_t before = at_;
        const std::size_t count = result_.commands.size();
        one_command(condition, takes_pipe);
        const ShellCommand::Link link = read_link();
        // What follows a group follows its last command; the end of a group says nothing new.
        if (result_.commands.size() > count && link != ShellCommand::Link::end) {
            result_.commands.back().link = link;
        }
        takes_pipe = link == ShellCommand::Link::pipe;
        if (at_ == before) {
            // ')' or '}' that this list does not end with.
            return;
        }
    }
}

std::string_view ShellReader::leading_word() const {
    for (const std::string_view word : {"if", "then", "elif", "else", "fi", "while", "until", "do",
                                        "done", "!", "time", "esac"}) {
        if (reserved(word)) {
            return word;
        }
    }
    return {};
}

ShellCommand::Link ShellReader::read_link() {
    using Link = ShellCommand::Link;
    skip_blanks();
    if (looking_at("&&")) {
        advance(2);
        return Link::and_if;
    }
    if (looking_at("||")) {
        advance(2);
        return Link::or_if;
    }
    if (peek() == '|') {
        advance(peek(1) == '&' ? 2 : 1);
        return Link::pipe;
    }
    if (peek() == '&') {
        advance();
        return Link::background;
    }
    if (peek() == ';' && peek(1) != ';' && peek(1) != '&') {
        advance();
    }
    return Link::end;
}

void ShellReader::one_command(bool condition, bool takes_pipe) {
    if (peek() == '(' && peek(1) == '(') {
        arithmetic();
        return;
    }
    if (peek() == '(') {
        advance();
        commands_until(')');
        advance();
        return;
    }
    if (reserved("{")) {
        advance();
        commands_until('}');
        advance();
        return;
    }
    if (reserved("case")) {
        read_case();
        return;
    }
    if (reserved("function")) {
        advance(8);
        skip_blanks();
        const int line = line_;
        const ShellWord name = word();
        skip_blanks();
        if (peek() == '(') {
            advance();
            skip_blanks();
            advance();
        }
        function_body(name.value, line);
        return;
    }
    if (reserved("[[")) {
        test_command(condition);
        return;
    }
    simple_command(condition, takes_pipe);
}

void ShellReader::simple_command(bool condition, bool takes_pipe) {
    ShellCommand command;
    command.line = line_;
    command.function = function_;
    command.condition = condition;
    command.takes_pipe = takes_pipe;
    while (true) {
        skip_blanks();
        if (at_end() || peek() == '\n' || peek() == ';' || peek() == ')' ||
            (peek() == '`' && backticks_ > 0)) {
            break;
        }
        if (redirection(command)) {
            continue;
        }
        if (peek() == '&' || peek() == '|') {
            break;
        }
        if (peek() == '(') {
            if (command.words.size() == 1 && command.words[0].literal() && peek(1) == ')') {
                advance(2);
                function_body(command.words[0].value, command.words[0].line);
                return;
            }
            if (command.words.size() == 1 && command.words[0].value == "for" && peek(1) == '(') {
                arithmetic();
                continue;
            }
            break;
        }
        const std::size_t before = at_;
        const bool may_assign = command.words.empty();
        ShellAssignment array;
        ShellWord next = word(may_assign || declares(command) ? &array : nullptr);
        if (!array.name.empty()) {
            command.assignments.push_back(std::move(array));
        } else if (const std::size_t length = assignment_length(next.text);
                   may_assign && length > 0) {
            command.assignments.push_back(assignment_of(std::move(next), length));
        } else {
            command.words.push_back(std::move(next));
        }
        if (at_ == before) {
            break;
        }
    }
    if (!command.words.empty() || !command.assignments.empty() || !command.redirections.empty()) {
        result_.commands.push_back(std::move(command));
    }
}

void ShellReader::test_command(bool condition) {
    ShellCommand command;
    command.line = line_;
    command.function = function_;
    command.condition = condition;
    command.words.push_back({"[[", "[[", {}, line_});
    advance(2);
    while (!at_end()) {
        skip_blanks();
        if (peek() == '\n') {
            newline();
            continue;
        }
        if (reserved("]]")) {
            advance(2);
            break;
        }
        if (std::string_view(";&|<>()").find(peek()) != std::string_view::npos) {
            advance();
            continue;
        }
        const std::size_t before = at_;
        command.words.push_back(word());
        // The end of a list around the test, where the test has no end of its own.
        if (at_ == before) {
            break;
        }
    }
    result_.commands.push_back(std::move(command));
}

void ShellReader::arithmetic() {
    int open = 0;
    while (!at_end()) {
        if (peek() == '(') {
            ++open;
        } else if (peek() == ')' && --open == 0) {
            advance();
            return;
        }
        advance();
    }
}

void ShellReader::function_body(const std::string& name, int line) {
    skip_space();
    const std::size_t first = result_.commands.size();
    const std::string outer = std::exchange(function_, name);
    if (peek() == '{' || peek() == '(') {
        const char end = peek() == '{' ? '}' : ')';
        advance();
        commands_until(end);
        advance();
    }
    function_ = outer;
    result_.functions.push_back({name, {first, result_.commands.size()}, line});
}

void ShellReader::read_case() {
    ShellCase one;
    one.line = line_;
    one.function = function_;
    advance(4);
    skip_blanks();
    one.subject = word();
    skip_space();
    if (!reserved("in")) {
        return;
    }
    advance(2);
    while (true) {
        skip_space();
        if (at_end()) {
            break;
        }
        if (reserved("esac")) {
            advance(4);
            break;
        }
        if (peek() == '(') {
            advance();
        }
        ShellArm arm;
        arm.line = line_;
        while (!at_end() && peek() != ')') {
            skip_space();
            const std::size_t before = at_;
            if (peek() == '|') {
                advance();
            } else if (peek() != ')') {
                arm.patterns.push_back(word().value);
            }
            skip_space();
            if (at_ == before) {
                break;
            }
        }
        if (peek() != ')') {
            break;
        }
        advance();
        arm.body.first = result_.commands.size();
        commands_until(';');
        arm.body.last = result_.commands.size();
        one.arms.push_back(std::move(arm));
        if (looking_at(";;&")) {
            advance(3);
        } else if (looking_at(";;") || looking_at(";&")) {
            advance(2);
        } else if (!reserved("esac")) {
            break;
        }
    }
    result_.cases.push_back(std::move(one));
}

bool ShellReader::redirection(ShellCommand& command) {
    std::size_t digits = 0;
    while (is_digit(peek(digits))) {
        ++digits;
    }
    const std::string_view rest = text_.substr(std::min(at_ + digits, text_.size()));
    std::string_view sign;
    for (const std::string_view one :
         {"<<<", "<<-", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">", "&>>", "&>"}) {
        if (rest.starts_with(one)) {
            sign = one;
            break;
        }
    }
    if (sign.empty() || (digits > 0 && sign.front() == '&')) {
        return false;
    }
    if ((sign == "<" || sign == ">") && digits == 0 && peek(1) == '(') {
        return false;  // process substitution, part of a word
    }
    advance(digits + sign.size());
    skip_blanks();
    ShellRedirection one{std::string(sign), word()};
    if (sign == "<<" || sign == "<<-") {
        one.sign = "<<";
        here_texts_.push_back({one.target.value, sign == "<<-", result_.here_texts.size()});
        command.here_texts.push_back(result_.here_texts.size());
        result_.here_texts.emplace_back();
    }
    command.redirections.push_back(std::move(one));
    return true;
}

}  // namespace drunner
