#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/exit_code.hpp"
#include "core/service_name.hpp"
#include "operation/changes.hpp"
#include "operation/machine.hpp"

namespace drunner {

// One option of a command, or a global one. `value` is the word for its argument in help; nullptr
// makes it a flag.
struct OptionRow {
    const char* name;  // long name without dashes
    char letter;       // 0: none
    const char* value;
    const char* help;
};

// The options and words of one command line.
class Arguments {
  public:
    bool has(std::string_view option) const;
    // The last value given, empty where none was.
    std::string value(std::string_view option) const;
    std::vector<std::string> values(std::string_view option) const;

    std::vector<std::string> words;  // positional arguments
    std::vector<std::string> tail;   // everything after the service's name, where that is its own
    std::multimap<std::string, std::string> options;
};

// What a command answers: an exit code, its result for people (stdout) and the same as one JSON
// document (stdout with --json). Both are empty where the command streamed something itself.
struct Answer {
    ExitCode code = ExitCode::done;
    std::string text;
    std::string document;
};

// Makes the real Machine for a command, once; `service` decides about the engine where nothing else
// names one.
using MachineMaker = std::function<Machine&(const Arguments&, const std::optional<ServiceName>&)>;

struct Invocation {
    const Arguments& arguments;
    MachineMaker make_machine;
    Changes& changes;  // where what is done without a machine is told

    bool is_check() const { return arguments.has("check"); }

    Machine& machine() const { return make_machine(arguments, std::nullopt); }
    Machine& machine_of(const ServiceName& service) const {
        return make_machine(arguments, service);
    }
};

// What --check means for a command.
enum class CheckMode {
    refused,    // it cannot foretell what it would change: an error
    foretold,   // it says what would change, and its exit code is that of the real run
    reads_only  // it changes nothing anyway
};

struct Command {
    std::string_view name;
    std::string_view synopsis;    // what follows the name: "IMAGE [SERVICE]"
    std::string_view summary;     // one line
    std::string_view exit_codes;  // what 0, 3 and 1 mean here
    std::span<const OptionRow> options;
    std::size_t least_words;
    std::size_t most_words;
    bool service_tail;  // everything after the service's name belongs to the service
    Answer (*run)(const Invocation& invocation);
    CheckMode check = CheckMode::refused;
    // Where the first word is this one, everything after so many words is handed on untouched.
    std::string_view tail_verb = {};
    std::size_t tail_words = 0;
};

}  // namespace drunner
