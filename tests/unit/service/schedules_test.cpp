#include "service/schedules.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "host/file.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

TEST_CASE("schedules are kept by their ids, and come back as they were") {
    const Scratch scratch;
    const ScheduleStore store(scratch.file("schedules"));
    CHECK(store.all().empty());
    const Schedule all{"backup", "03:00", {}, {}, "2026-01-01T00:00:00+00:00"};
    const Schedule some{"verify",
                        "Sun 05:00",
                        {ServiceName("blog"), ServiceName("wiki")},
                        {"--identity=/root/key"},
                        "2026-01-01T00:00:00+00:00",
                        "2026-01-02T00:00:00+00:00",
                        1,
                        {"DOCKER_HOST=unix:///run/other.sock"}};
    CHECK(all.id() == "backup");
    CHECK(some.id() == "verify:blog:wiki");
    store.save(some);
    store.save(all);
    CHECK(store.all() == std::vector{all, some});
    CHECK(store.find("verify:blog:wiki") == some);
    CHECK_FALSE(store.find("verify"));
    CHECK_FALSE(store.find("../schedules/backup"));
    store.remove("backup");
    CHECK(store.all() == std::vector{some});
}

TEST_CASE("a file that tells of no schedule is named, and what is none is left alone") {
    const Scratch scratch;
    const ScheduleStore store(scratch.file("schedules"));
    store.save({"backup", "03:00", {}, {}, ""});
    write_file(scratch.file("schedules/notes.json"), "{}");
    write_file(scratch.file("schedules/backup.json.1.new"), "{");
    CHECK(store.all().size() == 1);
    const std::string good = read_file(scratch.file("schedules/backup.json"));
    for (const std::string& text :
         {std::string("{}"), std::string("nothing"), good.substr(0, good.size() / 2)}) {
        write_file(scratch.file("schedules/backup.json"), text);
        CHECK_THROWS_AS(store.all(), Error);
    }
    write_file(scratch.file("schedules/backup.json"), "");
    write_file(scratch.file("schedules/update.json"), good);
    CHECK_THROWS_AS(store.find("update"), Error);
}
