#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/clock.hpp"

namespace drunner {

// Thins backups out the older they are, so that their ages follow a curve: many of the last days,
// few of long ago. The rule of the 2016 tool, where the three were MAXDAYS, MAXBACKUPS, ALWAYSKEEP.
struct RetentionCurve {
    int days = 90;           // nothing is older, once there are more than `most`
    std::size_t most = 20;   // as many as this stay
    std::size_t always = 3;  // the newest, which are never chosen
    bool operator==(const RetentionCurve&) const = default;
};

// Which of many backups stay: those that any of the rules keeps. A rule of 0 keeps none.
struct Retention {
    unsigned last = 0;  // the newest so many
    // The newest one of each of the last so many hours (days, ...) that have one, by the clock and
    // the calendar of this host; weeks are those of ISO 8601.
    unsigned hourly = 0;
    unsigned daily = 0;
    unsigned weekly = 0;
    unsigned monthly = 0;
    unsigned yearly = 0;
    std::chrono::seconds within{0};  // all that are not older than the newest by more than that
    std::optional<RetentionCurve> curve = std::nullopt;

    bool empty() const { return *this == Retention{}; }
    bool operator==(const Retention&) const = default;
};

// Reads "last=3 daily=7 within=30d curve=90/20/3" (DAYS/MOST/ALWAYS); words may also be separated
// by commas. Throws Error(settings) naming the word.
Retention parse_retention(std::string_view text);

// For each backup, by the times at which they were made (the newest first), the rules that keep it:
// "last", "daily", ... Those without any may go. The newest is always kept.
std::vector<std::vector<std::string>> rules_that_keep(const Retention& retention,
                                                      const std::vector<TimePoint>& times,
                                                      TimePoint now);

// The curve's next victim among backups of these ages in whole days, the newest first; empty where
// all may stay.
std::optional<std::size_t> dropped_by_curve(const RetentionCurve& curve,
                                            const std::vector<int>& ages);
// How far the backup at `place` (from 0, the newest) of `count` is from the curve:
// (age - days * ((e^(place/(count-1)) - 1) / (e - 1))^2)^2.
double distance_from_curve(int age, std::size_t place, std::size_t count, int days);
// The sum of that over all.
double distance_from_curve(const std::vector<int>& ages, int days);

}  // namespace drunner
