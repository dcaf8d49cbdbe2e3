#include "cli/event_progress.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/log.hpp"

namespace drunner {
namespace {

using nlohmann::json;

std::string line_of(const json& event) {
    // What a hook prints need not be UTF-8.
    return event.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

void tell(const std::string& line) {
    write_output(STDERR_FILENO, line);
}

}  // namespace

void EventProgress::note(std::string_view text) {
    log_line(LogLevel::info, text);
    if (!style_.quiet) {
        tell(text_event("note", text));
    }
}

void EventProgress::warning(std::string_view text) {
    log_line(LogLevel::warning, text);
    tell(text_event("warning", text));
}

void EventProgress::detail(std::string_view text) {
    log_line(LogLevel::debug, text);
    if (style_.verbose) {
        tell(text_event("detail", text));
    }
}

void EventProgress::script_output(std::string_view bytes) {
    log_line(LogLevel::info, bytes);
    if (!style_.quiet) {
        tell(text_event("output", bytes));
    }
}

void EventProgress::advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                            std::string_view unit) {
    if (!style_.quiet) {
        tell(line_of({{"event", "progress"},
                      {"activity", activity},
                      {"done", done},
                      {"total", total == 0 ? json() : json(total)},
                      {"unit", unit == "B" ? "bytes" : unit}}));
    }
}

void EventProgress::end(std::string_view activity) {
    if (!style_.quiet) {
        tell(line_of({{"event", "end"}, {"activity", activity}}));
    }
}

std::string text_event(std::string_view event, std::string_view text) {
    return line_of({{"event", event}, {"text", text}});
}

}  // namespace drunner
