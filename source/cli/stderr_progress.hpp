#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/progress.hpp"

namespace drunner {

struct ProgressStyle {
    bool quiet = false;
    bool verbose = false;
    bool colour = false;    // stderr is a terminal and nobody asked for none
    bool terminal = false;  // one line that is written over; else a line every ten seconds
};

// Progress for people, on stderr, and everything of it also in the log.
class StderrProgress : public Progress {
  public:
    explicit StderrProgress(ProgressStyle style) : style_(style) {}

    void note(std::string_view text) override;
    void warning(std::string_view text) override;
    void detail(std::string_view text) override;
    void script_output(std::string_view bytes) override;
    void advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                 std::string_view unit) override;
    void end(std::string_view activity) override;

  private:
    void line(std::string_view text);
    void clear_bar();

    ProgressStyle style_;
    bool bar_shown_ = false;
    std::int64_t last_line_ms_ = 0;
};

// Writes all of it to the descriptor; a reader that went away (EPIPE) is no failure. Any other
// error throws Error(system).
void write_output(int fd, std::string_view text);

}  // namespace drunner
