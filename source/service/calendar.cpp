#include "service/calendar.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <vector>

#include "core/text.hpp"

namespace drunner {
namespace {

using std::chrono::system_clock;

struct Span {
    unsigned first;
    unsigned last;
};
constexpr Span minute_span{0, 59};
constexpr Span hour_span{0, 23};
constexpr Span day_span{1, 31};
constexpr Span month_span{1, 12};
constexpr Span weekday_span{0, 6};

// Leap days and weekdays come round within it.
constexpr int longest_search_days = 28 * 366;

std::uint64_t bit(unsigned number) {
    return std::uint64_t{1} << number;
}

std::uint64_t all_of(Span span) {
    std::uint64_t bits = 0;
    for (unsigned number = span.first; number <= span.last; ++number) {
        bits |= bit(number);
    }
    return bits;
}

std::optional<unsigned> number_of(std::string_view text, Span span) {
    unsigned number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < span.first || number > span.last) {
        return std::nullopt;
    }
    return number;
}

std::optional<unsigned> weekday_of(std::string_view text) {
    constexpr std::array<std::string_view, 7> names{"sunday",   "monday", "tuesday", "wednesday",
                                                    "thursday", "friday", "saturday"};
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (unsigned day = 0; day < names.size(); ++day) {
        if (name == names[day] || name == names[day].substr(0, 3)) {
            return day;
        }
    }
    return std::nullopt;
}

// One part of a field: *, N, A..B, each perhaps with /STEP behind it.
template <typename Number>
std::optional<std::uint64_t> part_of(std::string_view text, Span span, Number number) {
    unsigned step = 0;
    if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
        const auto given = number_of(text.substr(slash + 1), {1, span.last});
        if (!given) {
            return std::nullopt;
        }
        step = *given;
        text = text.substr(0, slash);
    }
    unsigned first = span.first;
    unsigned last = span.last;
    const std::size_t dots = text.find("..");
    if (text != "*") {
        const auto begin = number(text.substr(0, dots), span);
        const auto end =
            dots == std::string_view::npos ? begin : number(text.substr(dots + 2), span);
        if (!begin || !end) {
            return std::nullopt;
        }
        first = *begin;
        last = dots == std::string_view::npos && step != 0 ? span.last : *end;
    }
    std::uint64_t bits = 0;
    // Sat..Mon goes round.
    for (unsigned at = first;; at = at == span.last ? span.first : at + 1) {
        if (step == 0 || (at - first) % step == 0) {
            bits |= bit(at);
        }
        if (at == last) {
            return bits;
        }
        if (at == span.last && span.last != weekday_span.last) {
            return std::nullopt;
        }
    }
}

template <typename Number>
bool take_field(std::string_view text, Span span, Number number, std::uint64_t& field) {
    field = 0;
    for (const std::string& one : split(std::string(text), ',')) {
        const auto bits = part_of(one, span, number);
        if (!bits) {
            return false;
        }
        field |= *bits;
    }
    return true;
}

bool take_number_field(std::string_view text, Span span, std::uint64_t& field) {
    return take_field(text, span, number_of, field);
}

bool take_date(std::string_view text, Calendar& calendar) {
    const std::vector<std::string> parts = split(std::string(text), '-');
    return parts.size() == 3 && parts[0] == "*" &&
           take_number_field(parts[1], month_span, calendar.months) &&
           take_number_field(parts[2], day_span, calendar.days);
}

bool take_time(std::string_view text, Calendar& calendar) {
    const std::vector<std::string> parts = split(std::string(text), ':');
    return (parts.size() == 2 || (parts.size() == 3 && (parts[2] == "00" || parts[2] == "0"))) &&
           take_number_field(parts[0], hour_span, calendar.hours) &&
           take_number_field(parts[1], minute_span, calendar.minutes);
}

bool take_weekdays(std::string_view text, Calendar& calendar) {
    return take_field(
        text, weekday_span, [](std::string_view name, Span) { return weekday_of(name); },
        calendar.weekdays);
}

std::string_view spelled_out(std::string_view text) {
    struct Row {
        std::string_view word;
        std::string_view meaning;
    };
    constexpr std::array rows{Row{"hourly", "*:00"},          Row{"daily", "00:00"},
                              Row{"weekly", "Mon 00:00"},     Row{"monthly", "*-*-01 00:00"},
                              Row{"yearly", "*-01-01 00:00"}, Row{"annually", "*-01-01 00:00"}};
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.word == text; });
    return found == rows.end() ? text : found->meaning;
}

// Whether a day of the months exists at all.
bool comes(const Calendar& calendar) {
    constexpr std::array<unsigned, 13> lengths{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (unsigned month = 1; month <= month_span.last; ++month) {
        if ((calendar.months & bit(month)) != 0 &&
            (calendar.days & (all_of({1, lengths[month]}))) != 0) {
            return true;
        }
    }
    return false;
}

bool takes_day(const Calendar& calendar, const tm& day) {
    return (calendar.months & bit(static_cast<unsigned>(day.tm_mon) + 1)) != 0 &&
           (calendar.days & bit(static_cast<unsigned>(day.tm_mday))) != 0 &&
           (calendar.weekdays & bit(static_cast<unsigned>(day.tm_wday))) != 0;
}

tm local_time(TimePoint time) {
    const time_t seconds = system_clock::to_time_t(time);
    tm local{};
    localtime_r(&seconds, &local);
    return local;
}

// The day that is so many days off, at noon: no change to summer time takes it for another.
tm other_day(const tm& from, int days) {
    tm day{};
    day.tm_year = from.tm_year;
    day.tm_mon = from.tm_mon;
    day.tm_mday = from.tm_mday + days;
    day.tm_hour = 12;
    day.tm_isdst = -1;
    mktime(&day);
    return day;
}

TimePoint moment(const tm& day, unsigned hour, unsigned minute) {
    tm at = day;
    at.tm_hour = static_cast<int>(hour);
    at.tm_min = static_cast<int>(minute);
    at.tm_sec = 0;
    at.tm_isdst = -1;
    return system_clock::from_time_t(mktime(&at));
}

// The moments of a day, in order.
std::vector<TimePoint> moments_of(const Calendar& calendar, const tm& day) {
    std::vector<TimePoint> moments;
    for (unsigned hour = 0; hour <= hour_span.last; ++hour) {
        for (unsigned minute = 0; minute <= minute_span.last; ++minute) {
            if ((calendar.hours & bit(hour)) != 0 && (calendar.minutes & bit(minute)) != 0) {
                moments.push_back(moment(day, hour, minute));
            }
        }
    }
    std::sort(moments.begin(), moments.end());
    return moments;
}

std::string cron_field(std::uint64_t field, Span span) {
    if (field == all_of(span)) {
        return "*";
    }
    std::vector<std::string> numbers;
    for (unsigned number = span.first; number <= span.last; ++number) {
        if ((field & bit(number)) != 0) {
            numbers.push_back(std::to_string(number));
        }
    }
    return join(numbers, ",");
}

}  // namespace

std::optional<Calendar> parse_calendar(std::string_view text) {
    std::vector<std::string> words = split(std::string(spelled_out(text)), ' ');
    std::erase(words, "");
    Calendar calendar{0, 0, all_of(day_span), all_of(month_span), all_of(weekday_span)};
    std::size_t at = 0;
    const auto next_has = [&](std::string_view mark) {
        return at < words.size() && words[at].find(mark) != std::string::npos;
    };
    if (at < words.size() && !next_has(":") && !next_has("-")) {
        if (!take_weekdays(words[at++], calendar)) {
            return std::nullopt;
        }
    }
    if (next_has("-") && !take_date(words[at++], calendar)) {
        return std::nullopt;
    }
    if (!next_has(":") || !take_time(words[at++], calendar) || at != words.size() ||
        !comes(calendar)) {
        return std::nullopt;
    }
    return calendar;
}

TimePoint next_due(const Calendar& calendar, TimePoint time) {
    const tm today = local_time(time);
    for (int days = 0; days < longest_search_days; ++days) {
        const tm day = other_day(today, days);
        if (!takes_day(calendar, day)) {
            continue;
        }
        for (const TimePoint due : moments_of(calendar, day)) {
            if (due > time) {
                return due;
            }
        }
    }
    return TimePoint::max();
}

TimePoint last_due(const Calendar& calendar, TimePoint time) {
    const tm today = local_time(time);
    for (int days = 0; days < longest_search_days; ++days) {
        const tm day = other_day(today, -days);
        if (!takes_day(calendar, day)) {
            continue;
        }
        const std::vector<TimePoint> moments = moments_of(calendar, day);
        for (auto due = moments.rbegin(); due != moments.rend(); ++due) {
            if (*due <= time) {
                return *due;
            }
        }
    }
    return TimePoint::min();
}

std::optional<std::string> cron_fields(const Calendar& calendar) {
    const std::string days = cron_field(calendar.days, day_span);
    const std::string weekdays = cron_field(calendar.weekdays, weekday_span);
    if (days != "*" && weekdays != "*") {
        return std::nullopt;
    }
    return cron_field(calendar.minutes, minute_span) + " " + cron_field(calendar.hours, hour_span) +
           " " + days + " " + cron_field(calendar.months, month_span) + " " + weekdays;
}

}  // namespace drunner
