#include "service/calendar.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <time.h>

#include "core/text.hpp"

using namespace drunner;

namespace {

// In that zone, until it goes.
class Zone {
  public:
    explicit Zone(const char* name) {
        setenv("TZ", name, 1);
        tzset();
    }
    ~Zone() {
        unsetenv("TZ");
        tzset();
    }
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;
};

TimePoint at(const char* text) {
    return *parse_compact_utc(text);
}

std::string next(const char* calendar, const char* time) {
    return compact_utc(next_due(*parse_calendar(calendar), at(time)));
}

std::string last(const char* calendar, const char* time) {
    return compact_utc(last_due(*parse_calendar(calendar), at(time)));
}

std::string cron(const char* calendar) {
    return cron_fields(*parse_calendar(calendar)).value_or("none");
}

}  // namespace

TEST_CASE("calendar expressions as cron has them") {
    CHECK(cron("hourly") == "0 * * * *");
    CHECK(cron("daily") == "0 0 * * *");
    CHECK(cron("weekly") == "0 0 * * 1");
    CHECK(cron("monthly") == "0 0 1 * *");
    CHECK(cron("yearly") == "0 0 1 1 *");
    CHECK(cron("03:00") == "0 3 * * *");
    CHECK(cron("*-*-* 03:05:00") == "5 3 * * *");
    CHECK(cron("Mon..Fri 22:30") == "30 22 * * 1,2,3,4,5");
    CHECK(cron("sat,SUNDAY 4:07") == "7 4 * * 0,6");
    CHECK(cron("Sat..Mon 04:00") == "0 4 * * 0,1,6");
    CHECK(cron("*:0/15") == "0,15,30,45 * * * *");
    CHECK(cron("*:*/20") == "0,20,40 * * * *");
    CHECK(cron("8..18/2:30") == "30 8,10,12,14,16,18 * * *");
    CHECK(cron("*-*-1,15 05:00") == "0 5 1,15 * *");
    CHECK(cron("*-02/3-28 00:00") == "0 0 28 2,5,8,11 *");
    // cron would take every Monday, and the first of the month.
    CHECK(cron("Mon *-*-01 05:00") == "none");
}

TEST_CASE("what is no calendar expression, or never comes, is none") {
    for (const char* text : {"",
                             " ",
                             "nightly",
                             "25:00",
                             "12:60",
                             "12",
                             "12:00:30",
                             "12:00 Mon",
                             "Mon",
                             "Foo 12:00",
                             "2026-01-01 12:00",
                             "*-13-01 12:00",
                             "*-02-30 12:00",
                             "*-*-0 12:00",
                             "*-*-32 12:00",
                             "*:0/0",
                             "*:5..3",
                             "1,:00",
                             "Mon.Fri 12:00",
                             "12:00 12:00",
                             "*-* 12:00",
                             "-1:00",
                             "12:00\n",
                             "daily daily"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_calendar(text));
    }
}

TEST_CASE("the next moment and the last one") {
    const Zone zone("UTC");
    CHECK(next("03:00", "20261126T025959Z") == "20261126T030000Z");
    CHECK(next("03:00", "20261126T030000Z") == "20261127T030000Z");
    CHECK(last("03:00", "20261126T030000Z") == "20261126T030000Z");
    CHECK(last("03:00", "20261126T025959Z") == "20261125T030000Z");
    CHECK(next("Mon..Fri 22:30", "20261127T230000Z") == "20261130T223000Z");
    CHECK(last("Sun 04:00", "20261126T000000Z") == "20261122T040000Z");
    CHECK(next("*-02-29 00:00", "20261126T000000Z") == "20280229T000000Z");
    CHECK(last("*-02-29 00:00", "20261126T000000Z") == "20240229T000000Z");
    CHECK(next("Mon *-*-13 05:00", "20261126T000000Z") == "20270913T050000Z");
    CHECK(next("*:0/15", "20261231T235900Z") == "20270101T000000Z");
}

TEST_CASE("moments are of the host's zone, over a change of its clocks too") {
    const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    CHECK(next("03:30", "20260327T120000Z") == "20260328T023000Z");
    CHECK(next("03:30", "20260329T120000Z") == "20260330T013000Z");
    CHECK(last("03:30", "20261026T120000Z") == "20261026T023000Z");
    // The last moment before the next one is the one before it, whatever the clocks do.
    const Calendar calendar = *parse_calendar("00/3:10");
    TimePoint time = at("20260328T000000Z");
    for (int i = 0; i < 20; ++i) {
        const TimePoint due = next_due(calendar, time);
        REQUIRE(due > time);
        CHECK(last_due(calendar, due) == due);
        if (i > 0) {
            CHECK(last_due(calendar, due - std::chrono::seconds(1)) == time);
        }
        time = due;
    }
}
