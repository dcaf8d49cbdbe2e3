#include "cli/run.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/audit.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/event_progress.hpp"
#include "cli/help.hpp"
#include "cli/log.hpp"
#include "cli/parse.hpp"
#include "cli/stderr_progress.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/write_ban.hpp"
#include "operation/changes.hpp"
#include "operation/rehearsal.hpp"

namespace drunner {
namespace {

// The text of --check where something would change; where nothing would, the command's own words
// are as true as without it.
std::string foretold_text(const Changes& changes) {
    std::string text = "would change:\n";
    for (const std::string& words : changes.words) {
        text += "  " + words + "\n";
    }
    return text + "nothing was changed (--check)\n";
}

void add_changes(const Arguments& arguments, const Changes& changes, Answer& answer) {
    using nlohmann::json;
    if (arguments.has("check") && answer.code == ExitCode::done && !changes.words.empty()) {
        answer.text = foretold_text(changes);
    }
    json document = json::parse(answer.document);
    if (arguments.has("check")) {
        document["check"] = true;
    }
    if (!document.contains("changes")) {
        document["changes"] = changes.words;
    }
    if (arguments.has("diff")) {
        answer.text = unified_text(changes) + answer.text;
        json texts = json::array();
        for (const TextChange& change : changes.texts) {
            texts.push_back({{"before_header", change.before_header},
                             {"after_header", change.after_header},
                             {"before", change.before},
                             {"after", change.after}});
        }
        document["diff"] = std::move(texts);
    }
    answer.document = document.dump(-1, ' ', true, json::error_handler_t::replace);
}

Answer run_audited(const Invocation& invocation, const Command& command, OperationAudit& audit) {
    try {
        Answer answer = command.run(invocation);
        audit.end(answer);
        return answer;
    } catch (const Error& error) {
        audit.end(error);
        throw;
    } catch (const std::exception& error) {
        audit.end(Error(ErrorKind::system, error.what()));
        throw;
    }
}

// With --check nothing of the command has more than a Rehearsal to work with.
Answer run_command(const Command& command, const Arguments& arguments,
                   const MachineMaker& make_machine) {
    const bool check = arguments.has("check");
    if (arguments.has("progress") && arguments.value("progress") != "json") {
        throw Error(ErrorKind::usage,
                    "option '--progress' takes 'json', not '" +
                        printable(arguments.value("progress")) + "'",
                    "drunner help " + std::string(command.name));
    }
    if (check && command.check == CheckMode::refused) {
        throw Error(ErrorKind::usage,
                    "'drunner " + std::string(command.name) +
                        "' cannot foretell what it would change, so it does not take --check",
                    "drunner help " + std::string(command.name));
    }
    std::optional<WriteBan> ban;
    if (check) {
        ban.emplace();
    }
    Changes changes;
    std::optional<Machine> told;
    std::optional<Rehearsal> rehearsal;
    OperationAudit audit(command, arguments);
    const MachineMaker make = [&](const Arguments& words,
                                  const std::optional<ServiceName>& service) -> Machine& {
        if (!told) {
            told.emplace(make_machine(words, service));
            told->changes = &changes;
            if (check) {
                rehearsal.emplace(*told);
            } else {
                audit.begin(*told);
            }
        }
        return check ? rehearsal->machine() : *told;
    };
    Answer answer = run_audited({arguments, make, changes}, command, audit);
    const bool asked = check || arguments.has("diff");
    if (answer.code == ExitCode::no_change) {
        changes = {};
    }
    // A document is missing where stdout carries something else.
    if (asked && command.check == CheckMode::foretold && !answer.document.empty()) {
        add_changes(arguments, changes, answer);
    }
    return answer;
}

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
    return run_command(*line.command, line.arguments, make_machine);
}

// The answer of a command that changes things, whether there was something to change or not.
bool is_of_a_change(const Answer& answer) {
    const auto document = nlohmann::json::parse(answer.document, nullptr, false);
    return document.is_object() && document.contains("changed");
}

// How the caller wants to be answered.
struct Manner {
    bool json = false;    // one document on stdout
    bool events = false;  // JSON lines on stderr
};

void print_answer(const Answer& answer, const Manner& manner) {
    try {
        if (manner.json && !answer.document.empty()) {
            write_output(STDOUT_FILENO, answer.document + "\n");
        } else if (!manner.json) {
            write_output(STDOUT_FILENO, answer.text);
        }
    } catch (const Error& error) {
        // What was done stands, and the exit code is to say so.
        if (!is_of_a_change(answer)) {
            throw;
        }
        const std::string text = std::string("it is done, but ") + error.what();
        write_output(STDERR_FILENO,
                     manner.events ? text_event("warning", text) : "warning: " + text + "\n");
    }
}

void print_error(const Error& error, const Manner& manner) {
    using nlohmann::json;
    log_line(LogLevel::error, error.what());
    const auto line_of = [](const json& document) {
        return document.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
    };
    const json told = error_document(error);
    if (manner.events) {
        json event = told;
        event["event"] = "error";
        write_output(STDERR_FILENO, line_of(event));
    } else {
        std::string text = std::string("drunner: ") + error.what() + "\n";
        if (!error.next().empty()) {
            text += "next: " + error.next() + "\n";
        }
        write_output(STDERR_FILENO, text);
    }
    if (manner.json) {
        try {
            write_output(STDOUT_FILENO, line_of({{"error", told}}));
        } catch (const Error&) {
            return;  // it has been said on stderr
        }
    }
}

}  // namespace

ExitCode run_command_line(const std::vector<std::string>& words, const MachineMaker& make_machine) {
    const Manner manner{wants_json(words), wants_events(words)};
    try {
        const Answer answer = answer_of(words, make_machine);
        print_answer(answer, manner);
        return answer.code;
    } catch (const Error& error) {
        print_error(error, manner);
    } catch (const std::exception& error) {
        print_error(Error(ErrorKind::system, error.what()), manner);
    }
    return ExitCode::error;
}

std::string drunner_version() {
    return DRUNNER_VERSION;
}

}  // namespace drunner
