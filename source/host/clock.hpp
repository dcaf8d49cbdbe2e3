#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace drunner {

using TimePoint = std::chrono::system_clock::time_point;

class Clock {
  public:
    virtual ~Clock() = default;
    virtual TimePoint now() = 0;
    // Returns earlier where a signal comes.
    virtual void wait(std::chrono::milliseconds duration) = 0;
};

class SystemClock : public Clock {
  public:
    TimePoint now() override;
    void wait(std::chrono::milliseconds duration) override;
};

// "2026-11-22T18:30:00+00:00": ISO 8601 in the host's zone.
std::string iso8601(TimePoint time);
// The moment that iso8601 wrote, in whatever zone; empty for any other text.
std::optional<TimePoint> parse_iso8601(std::string_view text);
// "20261122T183000Z": in UTC, for file names that sort by time.
std::string compact_utc(TimePoint time);
// The moment that compact_utc wrote, empty for any other text.
std::optional<TimePoint> parse_compact_utc(std::string_view text);

// "90", "90s", "30m", "6h", "7d"; empty for any other text and for more than ten years.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace drunner
