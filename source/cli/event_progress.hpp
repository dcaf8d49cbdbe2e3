#pragma once

#include "cli/stderr_progress.hpp"

namespace drunner {

// Progress for programs, with --progress json: on stderr one JSON object a line, and everything of
// it also in the log. Fields: templates/schemas/event.json.
class EventProgress : public Progress {
  public:
    explicit EventProgress(const ProgressStyle& style) : style_(style) {}

    void note(std::string_view text) override;
    void warning(std::string_view text) override;
    void detail(std::string_view text) override;
    void script_output(std::string_view bytes) override;
    void advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                 std::string_view unit) override;
    void end(std::string_view activity) override;

  private:
    ProgressStyle style_;
};

// One event that is a text, as its line: {"event":"warning","text":"..."}.
std::string text_event(std::string_view event, std::string_view text);

}  // namespace drunner
