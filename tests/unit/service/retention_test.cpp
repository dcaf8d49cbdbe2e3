#include "service/retention.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <time.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "core/error.hpp"

using namespace drunner;

namespace {

constexpr std::chrono::hours day{24};

// The calendar is UTC's while one of these lives.
class UtcZone {
  public:
    UtcZone() {
        const char* zone = getenv("TZ");
        before_ = zone == nullptr ? "" : zone;
        setenv("TZ", "UTC0", 1);
        tzset();
    }
    ~UtcZone() {
        before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
        tzset();
    }
    UtcZone(const UtcZone&) = delete;
    UtcZone& operator=(const UtcZone&) = delete;

  private:
    std::string before_;
};

std::vector<int> days_left(const RetentionCurve& curve, std::vector<int> ages) {
    while (const auto dropped = dropped_by_curve(curve, ages)) {
        ages.erase(ages.begin() + static_cast<long>(*dropped));
    }
    return ages;
}

std::vector<int> after_days(const RetentionCurve& curve, std::vector<int> ages, int days) {
    for (int i = 0; i < days; ++i) {
        for (int& age : ages) {
            ++age;
        }
        ages.insert(ages.begin(), 0);
        ages = days_left(curve, ages);
    }
    return ages;
}

std::vector<int> without(std::vector<int> ages, std::size_t place) {
    ages.erase(ages.begin() + static_cast<long>(place));
    return ages;
}

// The curve's formula again: the ages that would lie on it, and the squares of what is between.
double squares_off_curve(const std::vector<int>& ages, int days) {
    double squares = 0;
    double place = 0;
    for (const int age : ages) {
        double share = 0;
        if (ages.size() > 1) {
            share = std::expm1(place / static_cast<double>(ages.size() - 1)) / std::expm1(1.0);
        }
        squares += std::pow(age - days * std::pow(share, 2), 2);
        ++place;
    }
    return squares;
}

// The rules again, written the other way round: backup by backup, with std::chrono's calendar.
std::set<std::size_t> kept_by_reference(const Retention& retention,
                                        const std::vector<TimePoint>& times, TimePoint now) {
    using namespace std::chrono;
    std::set<std::size_t> kept;
    const auto periods = [&](unsigned count, const auto& number_of) {
        std::map<long, std::size_t, std::greater<>> newest;  // period -> its newest backup
        for (std::size_t i = times.size(); i-- > 0;) {
            newest[number_of(times[i])] = i;
        }
        for (const auto& [period, place] : newest) {
            if (count-- == 0) {
                break;
            }
            kept.insert(place);
        }
    };
    const auto date = [](TimePoint time) { return year_month_day(floor<days>(time)); };
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (i == 0 || i < retention.last ||
            (retention.within.count() > 0 && times[0] <= times[i] + retention.within)) {
            kept.insert(i);
        }
    }
    periods(retention.hourly,
            [](TimePoint time) { return floor<hours>(time).time_since_epoch().count(); });
    periods(retention.daily, [](TimePoint time) {
        return static_cast<long>(floor<days>(time).time_since_epoch().count());
    });
    // The first of January 1970 was a Thursday.
    periods(retention.weekly, [](TimePoint time) {
        return static_cast<long>((floor<days>(time).time_since_epoch().count() + 3) / 7);
    });
    periods(retention.monthly, [&](TimePoint time) {
        return static_cast<int>(date(time).year()) * 12L +
               static_cast<long>(static_cast<unsigned>(date(time).month()));
    });
    periods(retention.yearly,
            [&](TimePoint time) { return static_cast<long>(static_cast<int>(date(time).year())); });
    if (retention.curve) {
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < times.size(); ++i) {
            places.push_back(i);
        }
        const auto age = [&](std::size_t place) {
            return static_cast<int>(floor<days>(now - times[place]).count());
        };
        while (places.size() > retention.curve->most) {
            std::size_t victim = places.size() - 1;
            if (age(places.back()) <= retention.curve->days) {
                std::map<double, std::size_t> costs;  // emplace keeps the first on ties
                for (std::size_t p = retention.curve->always; p < places.size(); ++p) {
                    std::vector<int> ages;
                    for (std::size_t j = 0; j < places.size(); ++j) {
                        if (j != p) {
                            ages.push_back(age(places[j]));
                        }
                    }
                    costs.emplace(squares_off_curve(ages, retention.curve->days), p);
                }
                victim = costs.begin()->second;
            }
            places.erase(places.begin() + static_cast<long>(victim));
        }
        kept.insert(places.begin(), places.end());
    }
    return kept;
}

}  // namespace

TEST_CASE("the curve of the 2016 tool: the vectors of its own tests") {
    const RetentionCurve curve{100, 10, 2};
    const std::vector<int> ages{0, 1, 2, 3, 5, 11, 19, 31, 36, 40, 51, 91};
    CHECK(distance_from_curve(17, 5, 10, 100) == doctest::Approx(2.86675).epsilon(1e-5));
    CHECK(distance_from_curve(40, 4, 6, 60) == doctest::Approx(89.8257).epsilon(1e-5));
    CHECK(distance_from_curve(without(ages, 0), 100) == doctest::Approx(750.543).epsilon(1e-5));
    CHECK(dropped_by_curve(curve, ages) == 7);
    CHECK(dropped_by_curve(curve, without(ages, 7)) == 3);
    CHECK_FALSE(dropped_by_curve(curve, without(without(ages, 7), 3)));
    // There each day dropped once.
    CHECK(after_days(curve, {0, 1, 2, 4, 10, 18, 30, 39, 50, 90}, 200) ==
          std::vector{0, 1, 2, 5, 8, 18, 34, 44, 54, 83});
}

TEST_CASE("the curve: vectors computed from its formula by others") {
    std::vector<int> ages{0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 61};
    for (const int expected : {61, 3, 4, 5, 2}) {
        const auto dropped = dropped_by_curve({60, 6, 2}, ages);
        REQUIRE(dropped);
        CHECK(ages[*dropped] == expected);
        ages = without(ages, *dropped);
    }
    CHECK(ages == std::vector{0, 1, 6, 7, 8, 20});
    CHECK_FALSE(dropped_by_curve({60, 6, 2}, ages));
    CHECK(after_days({60, 6, 2}, {}, 120) == std::vector{0, 1, 3, 9, 37, 48});
    CHECK(after_days({30, 8, 3}, {}, 45) == std::vector{0, 1, 2, 3, 4, 7, 12, 26});
    CHECK(after_days({90, 20, 3}, {}, 365) ==
          std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 20, 26, 33, 39, 45, 57, 71, 80, 89});
}

TEST_CASE("10,000 random histories are pruned as a second writing of the rules says") {
    const UtcZone utc;
    std::mt19937 random(20160601);
    const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    for (int history = 0; history < 10'000; ++history) {
        Retention retention{below(4),
                            below(6),
                            below(8),
                            below(6),
                            below(6),
                            below(3),
                            std::chrono::hours(below(3) == 0 ? below(900) : 0)};
        if (below(4) == 0) {
            retention.curve =
                RetentionCurve{static_cast<int>(5 + below(100)), 3 + below(8), below(3)};
        }
        TimePoint time(std::chrono::seconds(1'600'000'000 + below(200'000'000)));
        const TimePoint now = time + std::chrono::hours(below(100));
        std::vector<TimePoint> times;
        const unsigned count = below(40);
        const unsigned step = below(2) == 0 ? 200'000 : 5'000'000;
        for (unsigned i = 0; i < count; ++i) {
            times.push_back(time);
            time -= std::chrono::seconds(1 + below(step));
        }
        const auto reasons = rules_that_keep(retention, times, now);
        std::set<std::size_t> kept;
        for (std::size_t i = 0; i < reasons.size(); ++i) {
            if (!reasons[i].empty()) {
                kept.insert(i);
            }
        }
        CAPTURE(history);
        CHECK(kept == kept_by_reference(retention, times, now));
    }
}

TEST_CASE("each rule by its name, and the newest by its own") {
    const UtcZone utc;
    const TimePoint now(std::chrono::seconds(1'700'000'000));
    using Row = std::vector<std::string>;
    CHECK(rules_that_keep({}, {now, now - day}, now) == std::vector<Row>{{"newest"}, {}});
    CHECK(rules_that_keep(parse_retention("last=1,weekly=2"), {now, now - day, now - 9 * day},
                          now) == std::vector<Row>{{"last", "weekly"}, {}, {"weekly"}});
    CHECK(rules_that_keep(parse_retention("within=1d"), {now, now - day, now - 2 * day}, now) ==
          std::vector<Row>{{"within"}, {"within"}, {}});
    CHECK(rules_that_keep(parse_retention("daily=3"), {}, now).empty());
}

TEST_CASE("a retention is words; what is none is refused by its name") {
    Retention expected;
    expected.last = 3;
    expected.daily = 7;
    expected.within = 30 * day;
    expected.curve = RetentionCurve{90, 20, 3};
    CHECK(parse_retention("last=3 daily=7, within=30d curve=90/20/3") == expected);
    CHECK(parse_retention("").empty());
    for (const char* word : {"last", "last=", "last=-1", "daily=x", "fortnightly=2", "within=soon",
                             "curve=90/20", "curve=4/20/3", "curve=90/3/3", "curve=a/b/c", "=3"}) {
        CAPTURE(word);
        CHECK_THROWS_WITH_AS(parse_retention(word), doctest::Contains(word), Error);
    }
}
