#include "host/clock.hpp"

#include <time.h>

#include <array>

namespace drunner {
namespace {

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
    std::string text = formatted(parts, "%Y-%m-%dT%H:%M:%S%z");
    text.insert(text.size() - 2, ":");
    return text;
}

std::string compact_utc(TimePoint time) {
    const time_t seconds = std::chrono::system_clock::to_time_t(time);
    tm parts{};
    gmtime_r(&seconds, &parts);
    return formatted(parts, "%Y%m%dT%H%M%SZ");
}

}  // namespace drunner
