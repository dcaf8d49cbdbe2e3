#include "cli/stderr_progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "cli/log.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::int64_t plain_line_every_ms = 10'000;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::string figure(std::uint64_t done, std::uint64_t total, std::string_view unit) {
    const auto shown = [&](std::uint64_t value) {
        return unit == "B" ? human_size(value) : fmt::format("{} {}", value, unit);
    };
    return total == 0 ? shown(done)
                      : fmt::format("{} of {} ({} %)", shown(done), shown(total),
                                    done >= total ? 100 : done * 100 / total);
}

}  // namespace

void StderrProgress::note(std::string_view text) {
    log_line(LogLevel::info, text);
    if (!style_.quiet) {
        line(text);
    }
}

void StderrProgress::warning(std::string_view text) {
    log_line(LogLevel::warning, text);
    line(style_.colour ? fmt::format("\033[33mwarning:\033[0m {}", text)
                       : fmt::format("warning: {}", text));
}

void StderrProgress::detail(std::string_view text) {
    log_line(LogLevel::debug, text);
    if (style_.verbose) {
        line(text);
    }
}

void StderrProgress::script_output(std::string_view bytes) {
    log_line(LogLevel::info, bytes);
    if (!style_.quiet) {
        clear_bar();
        write_output(STDERR_FILENO, bytes);
    }
}

void StderrProgress::advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                             std::string_view unit) {
    if (style_.quiet) {
        return;
    }
    const std::string text = fmt::format("{}  {}", activity, figure(done, total, unit));
    if (style_.terminal) {
        write_output(STDERR_FILENO, "\r\033[K" + text);
        bar_shown_ = true;
    } else if (now_ms() - last_line_ms_ >= plain_line_every_ms) {
        last_line_ms_ = now_ms();
        line(text);
    }
}

void StderrProgress::end(std::string_view) {
    clear_bar();
}

void StderrProgress::line(std::string_view text) {
    clear_bar();
    write_output(STDERR_FILENO, fmt::format("{}\n", text));
}

void StderrProgress::clear_bar() {
    if (bar_shown_) {
        write_output(STDERR_FILENO, "\r\033[K");
        bar_shown_ = false;
    }
}

void write_output(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EPIPE || fd == STDERR_FILENO) {
            return;  // nobody reads any more, or there is nowhere left to say so
        } else if (errno != EINTR) {
            throw system_error("cannot write to standard output", errno);
        }
    }
}

}  // namespace drunner
