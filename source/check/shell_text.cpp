#include "check/shell_text.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "check/shell_reader.hpp"

namespace drunner {
namespace {

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
    return ShellReader(text).read();
}

}  // namespace drunner
