#include "cli/run.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/log.hpp"
#include "cli/parse.hpp"
#include "cli/stderr_progress.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

Answer answer_of(const std::vector<std::string>& words, const MachineMaker& make_machine) {
    const CommandLine line = parse_command_line(words);
    if (line.version) {
        return {ExitCode::done, "drunner " + drunner_version() + "\n",
                nlohmann::json{{"command", "version"}, {"version", drunner_version()}}.dump()};
    }
    if (line.command == nullptr || line.arguments.has("help")) {
        const std::string text = line.command == nullptr ? help_text() : help_text(*line.command);
        return {ExitCode::done, text, nlohmann::json{{"command", "help"}, {"text", text}}.dump()};
    }
    return line.command->run({line.arguments, make_machine});
}

void print_error(const Error& error, bool as_json) {
    log_line(LogLevel::error, error.what());
    std::string text = std::string("drunner: ") + error.what() + "\n";
    if (!error.next().empty()) {
        text += "next: " + error.next() + "\n";
    }
    write_output(STDERR_FILENO, text);
    if (as_json) {
        const nlohmann::json document{{"error",
                                       {{"kind", kind_word(error.kind())},
                                        {"message", error.what()},
                                        {"next", error.next()},
                                        {"retryable", is_retryable(error.kind())},
                                        {"rolled_back", error.rolled_back()}}}};
        write_output(STDOUT_FILENO,
                     document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n");
    }
}

}  // namespace

ExitCode run_command_line(const std::vector<std::string>& words, const MachineMaker& make_machine) {
    const bool as_json = wants_json(words);
    try {
        const Answer answer = answer_of(words, make_machine);
        if (as_json && !answer.document.empty()) {
            write_output(STDOUT_FILENO, answer.document + "\n");
        } else if (!as_json) {
            write_output(STDOUT_FILENO, answer.text);
        }
        return answer.code;
    } catch (const Error& error) {
        print_error(error, as_json);
    } catch (const std::exception& error) {
        print_error(Error(ErrorKind::system, error.what()), as_json);
    }
    return ExitCode::error;
}

std::string drunner_version() {
    return DRUNNER_VERSION;
}

}  // namespace drunner
