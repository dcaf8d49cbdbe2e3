#include <doctest/doctest.h>
#include <fcntl.h>

#include "core/error.hpp"
#include "fakes/world.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "service/manifest.hpp"

namespace drunner::test {
namespace {

struct Killed {};

const ServiceName app("app");

void with_backup(World& world) {
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.write_data("drunner-app-data", "mine", "my data\n");
    BackupRequest request;
    request.level = 1;
    backup(machine, app, request);
}

// Throws at the Nth moment: before and after each step, the commit and each finish.
class Breaker : public TransactionObserver {
  public:
    Breaker(std::size_t number, bool kill) : number_(number), kill_(kill) {}
    void before(std::string_view) override { moment(); }
    void after(std::string_view) override { moment(); }

    std::size_t moments = 0;

  private:
    void moment() {
        if (moments++ == number_) {
            if (kill_) {
                throw Killed{};
            }
            throw Error(ErrorKind::system, "broken on purpose");
        }
    }

    std::size_t number_;
    bool kill_;
};

void recover_everything(World& world) {
    Machine machine = world.machine();
    CHECK(recover_all(machine).failures == std::vector<std::string>{});
}

std::optional<DrillRecord> verdict(World& world) {
    const Paths paths(world.prefix());
    return Catalog(paths).load(app).last_drill;
}

}  // namespace

TEST_CASE("a drill that passes leaves the verdict, and nothing else") {
    World world;
    with_backup(world);
    const std::vector<std::string> before = world.state();
    Machine machine = world.machine();
    const DrillReport report = drill(machine, app, {});
    CHECK(report.result.files > 0);
    CHECK(difference(before, world.state()) == "");
    REQUIRE(verdict(world));
    CHECK(verdict(world)->passed);
    CHECK(verdict(world)->file == report.file);
}

TEST_CASE("a drill that fails says why, and leaves nothing else") {
    World world;
    with_backup(world);
    const std::vector<std::string> before = world.state();
    Machine machine = world.machine();
    SUBCASE("a hook of the copy fails") {
        world.scripts().failing = "restore";
        CHECK_THROWS_WITH_AS(drill(machine, app, {}), doctest::Contains("it fails"), Error);
        CHECK(verdict(world)->reason.find("it fails") != std::string::npos);
    }
    SUBCASE("its container does not live") {
        world.engine().run_programs_with([](const FakeContainer&) {
            FakeProgram program;
            program.keeps_running = false;
            program.exit_code = 7;
            return program;
        });
        CHECK_THROWS_WITH_AS(drill(machine, app, {}), doctest::Contains("with status 7"), Error);
        CHECK(verdict(world)->reason.find("with status 7") != std::string::npos);
    }
    SUBCASE("the backup is damaged") {
        const std::string file = Catalog(machine.paths).load(app).last_backup->file;
        std::string bytes = read_file(file);
        bytes.pop_back();
        write_file(file, bytes);
        CHECK_THROWS_WITH_AS(drill(machine, app, {}), doctest::Contains("damaged"), Error);
        CHECK_FALSE(verdict(world)->reason.empty());
        world.engine().run_programs_with({});
        CHECK_FALSE(verdict(world)->passed);
        return;  // the file itself was changed
    }
    CHECK_FALSE(verdict(world)->passed);
    CHECK(difference(before, world.state()) == "");
}

TEST_CASE("a drill without a backup, or with another service's, is refused") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    CHECK_THROWS_WITH_AS(drill(machine, app, {}), doctest::Contains("no backup"), Error);
    install(machine, {world.reference(), ServiceName("copy"), {}});
    BackupRequest request;
    request.file = world.backup_file();
    backup(machine, ServiceName("copy"), request);
    CHECK_THROWS_WITH_AS(drill(machine, app, {world.backup_file(), {}}),
                         doctest::Contains("a backup of 'copy'"), Error);
}

TEST_CASE("a drill that fails or is killed anywhere leaves nothing after recovery") {
    std::size_t moments = 0;
    {
        World world;
        with_backup(world);
        Breaker breaker(SIZE_MAX, false);
        Machine machine = world.machine(&breaker);
        drill(machine, app, {});
        moments = breaker.moments;
    }
    REQUIRE(moments > 40);
    for (std::size_t number = 0; number < moments; ++number) {
        for (const bool kill : {false, true}) {
            INFO("moment " << number << (kill ? ", killed" : ", failed"));
            World world;
            with_backup(world);
            const std::vector<std::string> before = world.state();
            Breaker breaker(number, kill);
            Machine machine = world.machine(&breaker);
            try {
                drill(machine, app, {});
            } catch (const Killed&) {
            } catch (const Error&) {
            }
            recover_everything(world);
            CHECK(difference(before, world.state()) == "");
        }
    }
}

TEST_CASE("a drill with every engine call failed leaves nothing after recovery") {
    std::size_t calls = 0;
    {
        World world;
        with_backup(world);
        Machine machine = world.machine();
        const std::size_t already = world.engine().calls().size();
        drill(machine, app, {});
        calls = world.engine().calls().size() - already;
    }
    for (std::size_t number = 0; number < calls; ++number) {
        for (const bool before_effect : {true, false}) {
            World world;
            with_backup(world);
            const std::vector<std::string> before = world.state();
            std::size_t count = 0;
            std::string broken;
            world.engine().observe([&](const std::string& call, bool before_it) {
                if (before_it == before_effect && count++ == number) {
                    broken = call;
                    throw Error(ErrorKind::engine_unreachable, "the engine went away");
                }
            });
            Machine machine = world.machine();
            try {
                drill(machine, app, {});
            } catch (const Error&) {
            }
            world.engine().observe({});
            INFO("call " << number << " '" << broken << "' fails "
                         << (before_effect ? "before" : "after") << " its effect");
            recover_everything(world);
            CHECK(difference(before, world.state()) == "");
        }
    }
}

}  // namespace drunner::test
