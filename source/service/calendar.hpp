#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/clock.hpp"

namespace drunner {

// When something is due, in the host's zone: the part of systemd's calendar expressions
// (systemd.time(7), "CALENDAR EVENTS") that cron can keep as well.
//
//   hourly daily weekly monthly yearly
//   [WEEKDAYS] [*-MONTHS-DAYS] HOURS:MINUTES[:00]
//
// WEEKDAYS are names, as Mon..Fri or Sat,Sun; every other field is *, a number, A..B, a list of
// these, and FIRST/STEP (*/15 is 0/15). Each field's set bits are the numbers that it takes.
struct Calendar {
    std::uint64_t minutes = 0;   // 0..59
    std::uint64_t hours = 0;     // 0..23
    std::uint64_t days = 0;      // 1..31
    std::uint64_t months = 0;    // 1..12
    std::uint64_t weekdays = 0;  // 0..6, 0 is Sunday

    bool operator==(const Calendar&) const = default;
};

// Empty for any other text, and for what never comes (*-02-30).
std::optional<Calendar> parse_calendar(std::string_view text);

// The first moment behind `time`, and the last one that is not behind it.
TimePoint next_due(const Calendar& calendar, TimePoint time);
TimePoint last_due(const Calendar& calendar, TimePoint time);

// The five fields of crontab(5). Empty where weekdays and days are both named: cron takes the one
// or the other.
std::optional<std::string> cron_fields(const Calendar& calendar);

}  // namespace drunner
