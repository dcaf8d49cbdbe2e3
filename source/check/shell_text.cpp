#include "check/shell_text.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace drunner {
namespace {

// Deeper nesting than any person writes; the stack of a stranger's making ends here.
constexpr int deepest = 100;

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_part(char c) {
    return is_name_start(c) || is_digit(c);
}
bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// The length of "NAME=", "NAME+=" or "NAME[...]=" at the front of a word, 0 where there is none.
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

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    ShellText read() {
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

  private:
    struct PendingHereText {
        std::string delimiter;
        bool tabs_stripped = false;
        std::size_t index = 0;  // in ShellText::here_texts
    };

    // Counts how deep the recursion is; beyond the limit the rest of the text is passed over.
    class Depth {
      public:
        explicit Depth(Reader& reader) : reader_(reader) {
            if (++reader_.depth_ > deepest) {
                reader_.at_ = reader_.text_.size();
            }
        }
        ~Depth() { --reader_.depth_; }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;

      private:
        Reader& reader_;
    };

    bool at_end() const { return at_ >= text_.size(); }
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    bool looking_at(std::string_view part) const { return text_.substr(at_).starts_with(part); }
    void advance(std::size_t count = 1) {
        for (; count > 0 && !at_end(); --count) {
            line_ += text_[at_] == '\n' ? 1 : 0;
            ++at_;
        }
    }

    void skip_blanks() {
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
    void skip_space() {
        skip_blanks();
        while (peek() == '\n' && !at_end()) {
            newline();
            skip_blanks();
        }
    }

    // Passes over the end of a line and the here-documents that begin after it.
    void newline() {
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

    bool ends_list(char end) const {
        if (end == ')' || end == '`') {
            return peek() == end;
        }
        if (end == ';') {
            return looking_at(";;") || looking_at(";&") || reserved("esac");
        }
        return end == '}' && reserved("}");
    }
    // A reserved word stands here, as a word of its own.
    bool reserved(std::string_view word) const {
        return looking_at(word) && ends_word(word.size());
    }
    bool ends_word(std::size_t ahead = 0) const {
        if (at_ + ahead >= text_.size()) {
            return true;
        }
        const char c = peek(ahead);
        return is_blank(c) || std::string_view("\n;&|<>()").find(c) != std::string_view::npos ||
               (c == '`' && backticks_ > 0);
    }

    // Reads commands up to the end of the list, which stays unread: ')', '}', '`', ';' for the arm
    // of a case, '\0' for the end of the text.
    void commands_until(char end) {
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

    // A reserved word that only says how the commands around it hang together.
    std::string_view leading_word() const {
        for (const std::string_view word : {"if", "then", "elif", "else", "fi", "while", "until",
                                            "do", "done", "!", "time", "esac"}) {
            if (reserved(word)) {
                return word;
            }
        }
        return {};
    }

    ShellCommand::Link read_link() {
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

    void one_command(bool condition, bool takes_pipe) {
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

    void simple_command(bool condition, bool takes_pipe) {
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
                if (command.words.size() == 1 && command.words[0].value == "for" &&
                    peek(1) == '(') {
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
        if (!command.words.empty() || !command.assignments.empty() ||
            !command.redirections.empty()) {
            result_.commands.push_back(std::move(command));
        }
    }

    void test_command(bool condition) {
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
            command.words.push_back(word());
        }
        result_.commands.push_back(std::move(command));
    }

    void arithmetic() {
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

    void function_body(const std::string& name, int line) {
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

    void read_case() {
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

    bool redirection(ShellCommand& command) {
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

    // Reads one word. An array literal `NAME=(...)` goes to `array`, where one is wanted.
    ShellWord word(ShellAssignment* array = nullptr) {
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
    // A parenthesis after these, or after "NAME=", belongs to the word.
    bool continues(const ShellWord& word) const {
        if ((peek() == '<' || peek() == '>') && peek(1) == '(') {
            return true;
        }
        return peek() == '(' && assignment_length(word.text) > 0 &&
               assignment_length(word.text) == word.text.size();
    }

    void array_words(const ShellWord& name, ShellAssignment& array) {
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

    void take(ShellWord& word, std::size_t count, bool value = true) {
        const std::string_view part = text_.substr(at_, count);
        word.text += part;
        if (value) {
            word.value += part;
        }
        advance(count);
    }

    // One character, quoted text or expansion of a word.
    void piece(ShellWord& word, bool quoted) {
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

    void backtick(ShellWord& word, bool quoted) {
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

    // What was passed over since `begin` is text of the word.
    void keep(ShellWord& word, std::size_t begin) {
        const std::string_view part = text_.substr(begin, at_ - begin);
        word.text += part;
        word.value += part;
    }

    void substitution(ShellWord& word, std::size_t opening, bool quoted) {
        word.expansions.push_back({"", quoted, false, false, line_});
        const std::size_t begin = at_;
        advance(opening);
        commands_until(')');
        advance();
        keep(word, begin);
    }

    void expansion(ShellWord& word, bool quoted) {
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

    // ${...}; what stands inside, behind an operator, may be quoted and expanded again.
    void braced(ShellWord& word, bool quoted) {
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

    std::string_view text_;
    std::size_t at_ = 0;
    int line_ = 1;
    int depth_ = 0;
    int backticks_ = 0;
    std::string function_;
    std::vector<PendingHereText> here_texts_;
    ShellText result_;
};

// The words that run the command behind them, options of theirs and durations passed over.
bool runs_another(std::string_view word) {
    constexpr std::array<std::string_view, 9> words{"exec",  "command", "builtin", "sudo",   "env",
                                                    "nohup", "nice",    "setsid",  "timeout"};
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::size_t name_index(const std::vector<ShellWord>& words) {
    std::size_t at = 0;
    while (at < words.size() && runs_another(words[at].value)) {
        const bool timeout = words[at].value == "timeout";
        ++at;
        while (at < words.size() &&
               (words[at].value.starts_with("-") || assignment_length(words[at].text) > 0)) {
            ++at;
        }
        at += timeout ? 1U : 0U;
    }
    return at;
}

}  // namespace

bool ShellWord::mentions(std::string_view variable) const {
    return std::any_of(expansions.begin(), expansions.end(),
                       [&](const ShellExpansion& one) { return one.name == variable; });
}

std::string ShellCommand::name() const {
    const std::size_t at = name_index(words);
    return at < words.size() ? words[at].value : std::string();
}

std::vector<const ShellWord*> ShellCommand::arguments() const {
    std::vector<const ShellWord*> result;
    for (std::size_t at = name_index(words) + 1; at < words.size(); ++at) {
        result.push_back(&words[at]);
    }
    return result;
}

const ShellFunction* ShellText::find_function(std::string_view name) const {
    const auto found = std::find_if(functions.begin(), functions.end(),
                                    [&](const ShellFunction& one) { return one.name == name; });
    return found == functions.end() ? nullptr : &*found;
}

std::vector<const ShellCommand*> ShellText::reached_from(ShellRange range) const {
    std::vector<const ShellCommand*> result;
    std::vector<bool> seen(commands.size());
    std::map<std::string_view, const ShellFunction*> by_name;
    for (const ShellFunction& one : functions) {
        by_name.emplace(one.name, &one);
    }
    std::vector<ShellRange> open{range};
    while (!open.empty()) {
        const ShellRange next = open.back();
        open.pop_back();
        for (std::size_t at = next.first; at < std::min(next.last, commands.size()); ++at) {
            if (seen[at]) {
                continue;
            }
            seen[at] = true;
            result.push_back(&commands[at]);
            if (const auto called = by_name.find(commands[at].name()); called != by_name.end()) {
                open.push_back(called->second->body);
            }
        }
    }
    return result;
}

std::vector<ShellAssignment> ShellText::assignments() const {
    std::vector<ShellAssignment> result;
    for (const ShellCommand& command : commands) {
        result.insert(result.end(), command.assignments.begin(), command.assignments.end());
        if (!declares(command)) {
            continue;
        }
        for (const ShellWord& word : command.words) {
            if (const std::size_t length = assignment_length(word.text); length > 0) {
                result.push_back(assignment_of(word, length));
            }
        }
    }
    return result;
}

ShellText read_shell_text(std::string_view text) {
    return Reader(text).read();
}

}  // namespace drunner
