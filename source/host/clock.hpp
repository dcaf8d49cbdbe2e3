#pragma once

#include <chrono>
#include <string>

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
// "20261122T183000Z": in UTC, for file names that sort by time.
std::string compact_utc(TimePoint time);

}  // namespace drunner
