#include "host/clock.hpp"

#include <time.h>

#include <array>
#include <charconv>

namespace drunner {
namespace {

constexpr const char* compact_format = "%Y%m%dT%H%M%SZ";
constexpr const char* iso_format = "%Y-%m-%dT%H:%M:%S%z";

std::string formatted(const tm& parts, const char* format) {
    std::array<char, 64> text{};
    return {text.data(), strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

TimePoint SystemClock::now() {
    return std::chrono::system_clock::now();
}

void SystemClock::wait(std::chrono::milliseconds duration) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(duration - seconds);
    const timespec time{seconds.count(), rest.count()};
    nanosleep(&time, nullptr);
}

std::string iso8601(TimePoint time) {
    const time_t seconds = std::chrono::system_clock::to_time_t(time);
    tm parts{};
    localtime_r(&seconds, &parts);
    std::string text = formatted(parts, iso_format);
    text.insert(text.size() - 2, ":");
    return text;
}

std::optional<TimePoint> parse_iso8601(std::string_view text) {
    tm parts{};
    const std::string copy(text);
    const char* end = strptime(copy.c_str(), iso_format, &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    const long offset = parts.tm_gmtoff;  // timegm takes it for zero, and makes it so
    return std::chrono::system_clock::from_time_t(timegm(&parts) - offset);
}

std::string compact_utc(TimePoint time) {
    const time_t seconds = std::chrono::system_clock::to_time_t(time);
    tm parts{};
    gmtime_r(&seconds, &parts);
    return formatted(parts, compact_format);
}

std::optional<TimePoint> parse_compact_utc(std::string_view text) {
    tm parts{};
    const std::string copy(text);
    const char* end = strptime(copy.c_str(), compact_format, &parts);
    if (end == nullptr || *end != '\0') {
        return std::nullopt;
    }
    const TimePoint time = std::chrono::system_clock::from_time_t(timegm(&parts));
    return compact_utc(time) == text ? std::optional(time) : std::nullopt;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
    long long number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    const long long factor = unit.empty() || unit == "s" ? 1
                             : unit == "m"               ? 60
                             : unit == "h"               ? 3600
                             : unit == "d"               ? 86400
                                                         : 0;
    constexpr long long longest = 10LL * 365 * 86400;
    if (error != std::errc() || factor == 0 || number < 0 || number > longest / factor) {
        return std::nullopt;
    }
    return std::chrono::seconds(number * factor);
}

}  // namespace drunner
