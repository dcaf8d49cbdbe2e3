#include "operation/journal.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "core/error.hpp"
#include "fakes/scratch_directory.hpp"

namespace drunner::test {
namespace {

const ServiceName app("app");

}  // namespace

TEST_CASE("a journal says what was begun, what is settled, and what is to finish") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    Journal journal(paths, app, {"update", "drunner update app", "/s", TimePoint(), false});
    journal.step("one", R"({"a":1})");
    journal.step("two", R"({"b":"x"})");
    journal.settled(0);
    journal.hook_started("updatestart", 1);
    CHECK(read_journals(paths, app).size() == 1);
    JournalRecord record = read_journals(paths, app).front();
    CHECK(record.operation == journal.id());
    CHECK(record.verb == "update");
    CHECK(record.engine_socket == "/s");
    CHECK_FALSE(record.committed);
    REQUIRE(record.steps.size() == 1);
    CHECK(record.steps[0].first == "two");
    CHECK(record.steps[0].second == R"({"b":"x"})");
    REQUIRE(record.running_hook);
    CHECK(record.running_hook->group == 1);

    journal.hook_ended("updatestart");
    journal.finish("first", "{}");
    journal.finish("second", "{}");
    journal.commit();
    CHECK(journal.is_committed());
    mark_finished(paths.journal(app) + ".committed", 0);
    record = journal.read();
    CHECK(record.committed);
    CHECK_FALSE(record.running_hook);
    REQUIRE(record.finishes.size() == 1);
    CHECK(record.finishes[0].first == "second");
    CHECK(record.finish_indexes[0] == 1);

    remove_journal(journal.read().path);
    CHECK(read_journals(paths, app).empty());
    CHECK_FALSE(exists(paths.service(app)));
}

TEST_CASE("a journal is gone also where its directory cannot be synced") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    Journal journal(paths, app, {"backup", "drunner backup app", "/s", TimePoint(), false});
    create_file(paths.service(app) + "/service.json", "{}");
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    // What throws here must not leave the other tests without files.
    std::string failure;
    try {
        remove_journal(paths.journal(app));
    } catch (const Error& error) {
        failure = error.what();
    }
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(failure.empty());
    CHECK(read_journals(paths, app).empty());
}

TEST_CASE("a last line that was never synced announces nothing") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    Journal journal(paths, app, {"install", "drunner install app", "/s", TimePoint(), false});
    journal.step("one", "{}");
    std::ofstream(paths.journal(app), std::ios::app) << R"({"step":"two","param)";
    CHECK(read_journals(paths, app).front().steps.size() == 1);
}

TEST_CASE("a torn mark does not spoil the one that is written behind it") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    Journal journal(paths, app, {"install", "drunner install app", "/s", TimePoint(), false});
    journal.finish("first", "{}");
    journal.finish("second", "{}");
    journal.commit();
    const std::string committed = paths.journal(app) + ".committed";
    std::ofstream(committed, std::ios::app) << R"({"finis)";
    mark_finished(committed, 0);
    mark_finished(committed, 1);
    CHECK(journal.read().finishes.empty());
}

TEST_CASE("a journal that cannot be begun leaves nothing") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    CHECK_THROWS_AS(Journal(paths, app, {"install", "", "/s", TimePoint(), false}), Error);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK_FALSE(exists(paths.service(app)));
}

TEST_CASE("a line that finds no room leaves the journal as it was") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    Journal journal(paths, app, {"install", "", "/s", TimePoint(), false});
    journal.step("one", "{}");
    const std::string whole = read_file(paths.journal(app));
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    // Room for a part of the line only.
    const rlimit full{whole.size() + 5, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
    CHECK_THROWS_AS(journal.step("two", "{}"), Error);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(read_file(paths.journal(app)) == whole);
}

TEST_CASE("what a kill leaves without a journal is litter, anything else is not") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    const std::string directory = paths.service(app);
    CHECK_FALSE(has_litter(paths, app));
    make_directories(directory);
    CHECK(has_litter(paths, app));
    create_file(directory + "/service.json", "{}");
    create_file(directory + "/notes.new", "mine");
    CHECK_FALSE(has_litter(paths, app));
    const std::string data = directory + "/releases/2/data";
    make_directories(data);
    create_file(unfinished_name(data + "/data.json"), "half");
    CHECK(has_litter(paths, app));
    remove_litter(paths, app);
    CHECK(directory_entries(data).empty());
    remove_tree(directory + "/releases");
    create_file(unfinished_name(directory + "/service.json"), "half");
    replace_symlink("nowhere", unfinished_name(directory + "/drunner"));
    CHECK(has_litter(paths, app));
    remove_litter(paths, app);
    CHECK(directory_entries(directory) == std::vector<std::string>{"notes.new", "service.json"});
    remove_tree(directory + "/service.json");
    remove_tree(directory + "/notes.new");
    remove_litter(paths, app);
    CHECK_FALSE(exists(directory));
}

TEST_CASE("a damaged journal and one of a newer drunner are told, not guessed at") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    make_directories(paths.service(app));
    write_file(paths.journal(app), "not json\n");
    CHECK_THROWS_AS(read_journals(paths, app), Error);
    write_file(paths.journal(app), R"({"journal":99,"operation":"x"})"
                                   "\n");
    CHECK_THROWS_AS(read_journals(paths, app), Error);
}

TEST_CASE("two operations cannot write one journal") {
    const ScratchDirectory scratch;
    const Paths paths(scratch.path());
    const Journal first(paths, app, {"install", "", "/s", TimePoint(), false});
    CHECK_THROWS_AS(Journal(paths, app, {"install", "", "/s", TimePoint(), false}), Error);
    const Journal nested(paths, app, {"backup", "", "/s", TimePoint(), true});
    CHECK(read_journals(paths, app).size() == 2);
}

}  // namespace drunner::test
