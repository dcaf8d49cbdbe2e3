#include "host/clock.hpp"

#include <doctest/doctest.h>

using namespace drunner;

TEST_CASE("a moment in a file's name comes back, to the second") {
    const TimePoint time{std::chrono::seconds(1'700'000'000)};
    CHECK(compact_utc(time) == "20231114T221320Z");
    CHECK(parse_compact_utc("20231114T221320Z") == time);
    for (const char* text : {"", "20231114T221320", "20231314T221320Z", "2023114T221320Z",
                             "20231114T221320Zx", " 20231114T221320Z", "20230231T000000Z"}) {
        INFO(text);
        CHECK_FALSE(parse_compact_utc(text));
    }
}

TEST_CASE("a duration is a number with a unit, up to ten years") {
    CHECK(parse_duration("0") == std::chrono::seconds(0));
    CHECK(parse_duration("90") == std::chrono::seconds(90));
    CHECK(parse_duration("90s") == std::chrono::seconds(90));
    CHECK(parse_duration("30m") == std::chrono::minutes(30));
    CHECK(parse_duration("12h") == std::chrono::hours(12));
    CHECK(parse_duration("7d") == std::chrono::hours(7 * 24));
    CHECK(parse_duration("3650d"));
    for (const char* text :
         {"", "d", "-1h", "1w", "1h30m", "1.5h", " 1h", "3651d", "99999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("what iso8601 wrote is read again, in whatever zone it was written") {
    const TimePoint time(std::chrono::seconds(1'700'000'000));
    CHECK(parse_iso8601(iso8601(time)) == time);
    CHECK(parse_iso8601("2023-11-14T22:13:20+00:00") == time);
    CHECK(parse_iso8601("2023-11-14T23:43:20+01:30") == time);
    for (const char* text :
         {"", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20+00:00x"}) {
        CHECK_FALSE(parse_iso8601(text));
    }
}
