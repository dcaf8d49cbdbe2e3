#include "cli/parse.hpp"

#include <algorithm>
#include <cxxopts.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

bool is_option(const std::string& word) {
    return word.size() > 1 && word.front() == '-';
}

const OptionRow* find_option(const std::vector<OptionRow>& rows, const std::string& word) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const OptionRow& row) {
        return word == std::string("--") + row.name ||
               (row.letter != 0 && word == std::string("-") + row.letter);
    });
    return found == rows.end() ? nullptr : &*found;
}

// The index of the first word that is neither an option nor an option's value.
std::size_t first_word(const std::vector<std::string>& words, std::size_t from,
                       const std::vector<OptionRow>& rows) {
    for (std::size_t i = from; i < words.size(); ++i) {
        if (!is_option(words[i])) {
            return i;
        }
        const OptionRow* row = find_option(rows, words[i]);
        if (row != nullptr && row->value != nullptr) {
            ++i;
        }
    }
    return words.size();
}

// Where the tail begins of a command whose name stood before `from`: behind the service's name, or
// behind the last word that the verb takes for itself. The end where there is none.
std::size_t tail_of(const Command& command, const std::vector<std::string>& words, std::size_t from,
                    const std::vector<OptionRow>& rows) {
    std::size_t position = first_word(words, from, rows);
    std::size_t own_words = command.service_tail ? 1 : 0;
    if (position < words.size() && words[position] == command.tail_verb) {
        own_words = command.tail_words;
    }
    if (own_words == 0) {
        return words.size();
    }
    for (std::size_t i = 1; i < own_words; ++i) {
        position = first_word(words, position + 1, rows);
    }
    return std::min(position + 1, words.size());
}

std::vector<OptionRow> options_of(const Command* command) {
    const auto globals = global_options();
    std::vector<OptionRow> rows(globals.begin(), globals.end());
    if (command != nullptr) {
        rows.insert(rows.end(), command->options.begin(), command->options.end());
    }
    return rows;
}

Error unknown_command(const std::string& word) {
    std::vector<std::string> names;
    for (const Command& command : commands()) {
        names.emplace_back(command.name);
    }
    const std::string meant = nearest(word, names);
    return Error(ErrorKind::usage, "there is no command '" + printable(word) + "'",
                 meant.empty() ? "drunner help" : "drunner " + meant);
}

Error unknown_option(const std::string& option, const Command* command,
                     const std::vector<OptionRow>& rows) {
    std::vector<std::string> names;
    for (const OptionRow& row : rows) {
        names.emplace_back(row.name);
    }
    const std::string meant = nearest(option.substr(option.find_first_not_of('-')), names);
    return Error(ErrorKind::usage,
                 "there is no option '" + printable(option) + "'" +
                     (meant.empty() ? "" : ", did you mean '--" + meant + "'?"),
                 "drunner help" + (command == nullptr ? "" : " " + std::string(command->name)));
}

void parse_options(const std::vector<std::string>& words, const Command* command,
                   const std::vector<OptionRow>& rows, Arguments& arguments) {
    cxxopts::Options parser("drunner");
    for (const OptionRow& row : rows) {
        const std::string names =
            row.letter == 0 ? row.name : std::string(1, row.letter) + "," + row.name;
        if (row.value == nullptr) {
            parser.add_options()(names, "");
        } else {
            parser.add_options()(names, "", cxxopts::value<std::string>());
        }
    }
    std::vector<const char*> argv{"drunner"};
    for (const std::string& word : words) {
        argv.push_back(word.c_str());
    }
    const std::string help =
        "drunner help" + (command == nullptr ? std::string() : " " + std::string(command->name));
    try {
        const cxxopts::ParseResult result =
            parser.parse(static_cast<int>(argv.size()), argv.data());
        for (const cxxopts::KeyValue& option : result.arguments()) {
            arguments.options.emplace(option.key(), option.value());
        }
        arguments.words = result.unmatched();
    } catch (const cxxopts::exceptions::exception& error) {
        for (const std::string& word : words) {
            const std::string name = word.substr(0, word.find('='));
            if (name.starts_with("--") && name.size() > 2 && find_option(rows, name) == nullptr) {
                throw unknown_option(name, command, rows);
            }
            if (name.size() == 2 && is_option(name) && name != "--" &&
                find_option(rows, name) == nullptr) {
                throw unknown_option(name, command, rows);
            }
            const OptionRow* row = find_option(rows, word);
            if (row != nullptr && row->value != nullptr && &word == &words.back()) {
                throw Error(ErrorKind::usage, "option '" + word + "' needs a value: " + row->value,
                            help);
            }
        }
        throw Error(ErrorKind::usage,
                    "the options cannot be understood: " + printable(error.what()), help);
    }
}

}  // namespace

bool Arguments::has(std::string_view option) const {
    return options.contains(std::string(option));
}

std::string Arguments::value(std::string_view option) const {
    const std::vector<std::string> all = values(option);
    return all.empty() ? std::string() : all.back();
}

std::vector<std::string> Arguments::values(std::string_view option) const {
    std::vector<std::string> found;
    const auto [begin, end] = options.equal_range(std::string(option));
    for (auto one = begin; one != end; ++one) {
        found.push_back(one->second);
    }
    return found;
}

CommandLine parse_command_line(const std::vector<std::string>& words) {
    CommandLine line;
    const std::size_t verb = first_word(words, 0, options_of(nullptr));
    std::vector<std::string> own = words;
    if (verb < words.size()) {
        line.command = find_command(words[verb]);
        if (line.command == nullptr) {
            throw unknown_command(words[verb]);
        }
        own.erase(own.begin() + static_cast<std::ptrdiff_t>(verb));
    } else if (std::find(words.begin(), words.end(), "--version") != words.end()) {
        line.version = true;
        return line;
    }
    const std::vector<OptionRow> rows = options_of(line.command);
    if (line.command != nullptr) {
        const auto tail =
            own.begin() + static_cast<std::ptrdiff_t>(tail_of(*line.command, own, verb, rows));
        line.arguments.tail.assign(tail, own.end());
        own.erase(tail, own.end());
    }
    parse_options(own, line.command, rows, line.arguments);
    if (line.command == nullptr || line.arguments.has("help")) {
        return line;
    }
    const std::size_t count = line.arguments.words.size();
    if (count < line.command->least_words || count > line.command->most_words) {
        throw Error(ErrorKind::usage,
                    count < line.command->least_words
                        ? "'drunner " + std::string(line.command->name) + "' needs " +
                              std::string(line.command->synopsis)
                        : "'" + printable(line.arguments.words[line.command->most_words]) +
                              "' is one word too many for 'drunner " +
                              std::string(line.command->name) + "'",
                    "drunner help " + std::string(line.command->name));
    }
    return line;
}

namespace {

// The words that are drunner's own, not those of a service's command.
std::vector<std::string> own_words(const std::vector<std::string>& words) {
    const std::size_t verb = first_word(words, 0, options_of(nullptr));
    std::size_t end = words.size();
    if (verb < words.size()) {
        const Command* command = find_command(words[verb]);
        if (command != nullptr) {
            end = tail_of(*command, words, verb + 1, options_of(command));
        }
    }
    return {words.begin(), words.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace

bool wants_json(const std::vector<std::string>& words) {
    const std::vector<std::string> own = own_words(words);
    return std::find(own.begin(), own.end(), "--json") != own.end();
}

bool wants_events(const std::vector<std::string>& words) {
    const std::vector<std::string> own = own_words(words);
    const auto option = std::find(own.begin(), own.end(), "--progress");
    return (option != own.end() && option + 1 != own.end() && option[1] == "json") ||
           std::find(own.begin(), own.end(), "--progress=json") != own.end();
}

}  // namespace drunner
