#include "core/progress.hpp"

#include <chrono>
#include <utility>

namespace drunner {
namespace {

constexpr std::int64_t shown_every_ms = 100;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Activity::Activity(Progress& progress, std::string name, std::uint64_t total, std::string unit)
    : progress_(progress),
      name_(std::move(name)),
      unit_(std::move(unit)),
      total_(total),
      last_shown_ms_(now_ms()) {}

Activity::~Activity() {
    progress_.end(name_);
}

void Activity::at(std::uint64_t done, std::uint64_t total) {
    done_ = done;
    total_ = total;
    if (const std::int64_t now = now_ms(); now - last_shown_ms_ >= shown_every_ms) {
        last_shown_ms_ = now;
        progress_.advance(name_, done_, total_, unit_);
    }
}

}  // namespace drunner
