#include "service/retention.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

struct CalendarRule {
    const char* name;
    unsigned Retention::*count;
    const char* period;  // strftime; the same text is the same hour, day, ...
};
constexpr std::array calendar_rules{
    CalendarRule{"hourly", &Retention::hourly, "%Y-%m-%d %H %z"},
    CalendarRule{"daily", &Retention::daily, "%Y-%m-%d"},
    CalendarRule{"weekly", &Retention::weekly, "%G-%V"},
    CalendarRule{"monthly", &Retention::monthly, "%Y-%m"},
    CalendarRule{"yearly", &Retention::yearly, "%Y"},
};

using Reasons = std::vector<std::vector<std::string>>;

[[noreturn]] void refuse(std::string_view word) {
    throw Error(ErrorKind::settings,
                "'" + printable(word) +
                    "' is no rule of a retention: last=3, hourly, daily, weekly, monthly, yearly, "
                    "within=30d, curve=DAYS/MOST/ALWAYS");
}

template <typename Number>
Number number_of(std::string_view text, std::string_view word) {
    Number number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < 0) {
        refuse(word);
    }
    return number;
}

RetentionCurve curve_of(const std::string& value, std::string_view word) {
    const std::vector<std::string> parts = split(value, '/');
    if (parts.size() != 3) {
        refuse(word);
    }
    const RetentionCurve curve{number_of<int>(parts[0], word), number_of<unsigned>(parts[1], word),
                               number_of<unsigned>(parts[2], word)};
    // With fewer days no backup would ever be old enough; one of those to keep must be choosable.
    constexpr int fewest_days = 5;
    if (curve.days < fewest_days || curve.always >= curve.most) {
        throw Error(ErrorKind::settings, "'" + printable(word) + "' needs at least " +
                                             std::to_string(fewest_days) +
                                             " DAYS, and ALWAYS smaller than MOST");
    }
    return curve;
}

std::string period_of(TimePoint time, const char* format) {
    const time_t seconds = std::chrono::system_clock::to_time_t(time);
    tm parts{};
    localtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    return {text.data(), strftime(text.data(), text.size(), format, &parts)};
}

void keep_by_calendar(const CalendarRule& rule, unsigned count, const std::vector<TimePoint>& times,
                      Reasons& reasons) {
    std::string last;
    for (std::size_t i = 0; i < times.size() && count > 0; ++i) {
        const std::string period = period_of(times[i], rule.period);
        if (period != last) {
            reasons[i].emplace_back(rule.name);
            last = period;
            --count;
        }
    }
}

void keep_by_curve(const RetentionCurve& curve, const std::vector<TimePoint>& times, TimePoint now,
                   Reasons& reasons) {
    std::vector<int> ages;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < times.size(); ++i) {
        const auto age =
            std::chrono::duration_cast<std::chrono::hours>(now - times[i]).count() / 24;
        ages.push_back(static_cast<int>(std::max<long>(0, age)));
        places.push_back(i);
    }
    while (const auto dropped = dropped_by_curve(curve, ages)) {
        ages.erase(ages.begin() + static_cast<std::ptrdiff_t>(*dropped));
        places.erase(places.begin() + static_cast<std::ptrdiff_t>(*dropped));
    }
    for (const std::size_t place : places) {
        reasons[place].emplace_back("curve");
    }
}

}  // namespace

Retention parse_retention(std::string_view text) {
    std::string words(text);
    std::replace(words.begin(), words.end(), ',', ' ');
    Retention retention;
    for (const std::string& word : split(words, ' ')) {
        if (word.empty()) {
            continue;
        }
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) {
            refuse(word);
        }
        const std::string name = word.substr(0, equals);
        const std::string value = word.substr(equals + 1);
        const auto* const rule =
            std::find_if(calendar_rules.begin(), calendar_rules.end(),
                         [&](const CalendarRule& one) { return one.name == name; });
        if (rule != calendar_rules.end()) {
            retention.*(rule->count) = number_of<unsigned>(value, word);
        } else if (name == "last") {
            retention.last = number_of<unsigned>(value, word);
        } else if (name == "within" && parse_duration(value)) {
            retention.within = *parse_duration(value);
        } else if (name == "curve") {
            retention.curve = curve_of(value, word);
        } else {
            refuse(word);
        }
    }
    return retention;
}

Reasons rules_that_keep(const Retention& retention, const std::vector<TimePoint>& times,
                        TimePoint now) {
    Reasons reasons(times.size());
    for (std::size_t i = 0; i < times.size() && i < retention.last; ++i) {
        reasons[i].emplace_back("last");
    }
    for (const CalendarRule& rule : calendar_rules) {
        keep_by_calendar(rule, retention.*(rule.count), times, reasons);
    }
    for (std::size_t i = 0; i < times.size() && retention.within.count() > 0; ++i) {
        if (times.front() - times[i] <= retention.within) {
            reasons[i].emplace_back("within");
        }
    }
    if (retention.curve) {
        keep_by_curve(*retention.curve, times, now, reasons);
    }
    if (!reasons.empty() && reasons.front().empty()) {
        reasons.front().emplace_back("newest");
    }
    return reasons;
}

double distance_from_curve(int age, std::size_t place, std::size_t count, int days) {
    const double part =
        count > 1 ? (std::exp(static_cast<double>(place) / static_cast<double>(count - 1)) - 1) /
                        (std::numbers::e - 1)
                  : 0;
    const double distance = age - days * part * part;
    return distance * distance;
}

double distance_from_curve(const std::vector<int>& ages, int days) {
    double sum = 0;
    for (std::size_t place = 0; place < ages.size(); ++place) {
        sum += distance_from_curve(ages[place], place, ages.size(), days);
    }
    return sum;
}

std::optional<std::size_t> dropped_by_curve(const RetentionCurve& curve,
                                            const std::vector<int>& ages) {
    if (ages.size() <= curve.most) {
        return std::nullopt;
    }
    if (ages.back() > curve.days) {
        return ages.size() - 1;
    }
    std::optional<std::size_t> best;
    double smallest = 0;
    for (std::size_t candidate = curve.always; candidate < ages.size(); ++candidate) {
        std::vector<int> others = ages;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(candidate));
        const double distance = distance_from_curve(others, curve.days);
        if (!best || distance < smallest) {
            best = candidate;
            smallest = distance;
        }
    }
    return best;
}

}  // namespace drunner
