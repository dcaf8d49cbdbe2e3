#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/mount.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "fakes/reflink_disk.hpp"
#include "fakes/world.hpp"
#include "host/file.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/doctor.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"

namespace drunner::test {
namespace {

const ServiceName app("app");

struct Killed {};

// Ends the operation behind a step, like kill -9.
class KilledAfter : public TransactionObserver {
  public:
    explicit KilledAfter(std::string step) : step_(std::move(step)) {}
    void before(std::string_view) override {}
    void after(std::string_view step) override {
        if (step == step_) {
            throw Killed{};
        }
    }

  private:
    std::string step_;
};

// "app" updated once, with other data before and after.
void update_once(World& world) {
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.write_data("drunner-app-data", "mine", "old\n");
    world.build(2);
    update(machine, app, {});
    world.write_data("drunner-app-data", "mine", "new\n");
}

void configure(World& world, const std::string& settings) {
    write_file(Paths(world.prefix()).config_file(), "HEALTHUPTIME=0\n" + settings);
}

std::string mine(World& world) {
    return read_file(world.engine().find_volume("drunner-app-data")->mountpoint + "/mine");
}

Manifest manifest_of(const World& world) {
    const Paths paths(world.prefix());
    return Catalog(paths).load(app);
}

bool has(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string refusal_of_rollback(World& world) {
    Machine machine = world.machine();
    try {
        rollback(machine, app, {});
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

std::string refusal_of_data(World& world) {
    Machine machine = world.machine();
    const std::vector<std::string> before = world.state();
    try {
        rollback(machine, app, {true});
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::archive_refused);
        CHECK_FALSE(error.rolled_back());
        CHECK(difference(before, world.state()) == "");
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("an update puts back the tag that somebody took from the image before it") {
    World world;
    configure(world, "");
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    const std::string first = manifest_of(world).release().image_id;
    SUBCASE("so that there is a way back") {
        // Another tag keeps the image, as it does on a real engine.
        world.engine().tag_image(first, "kept", "1");
        world.engine().remove_image("localhost/drunner:app.1");
        world.build(2);
        CHECK(update(machine, app, {}).outcome == Outcome::changed);
        CHECK(rollback(machine, app, {}).outcome == Outcome::changed);
        CHECK(manifest_of(world).release().image_id == first);
    }
    SUBCASE("and is done also where that image is gone") {
        world.engine().remove_image("localhost/drunner:app.1");
        world.build(2);
        world.engine().remove_container("app");
        world.engine().remove_container("drunner-keep-app");
        world.engine().remove_image(first);
        REQUIRE_FALSE(world.engine().find_image(first));
        CHECK(update(machine, app, {}).outcome == Outcome::changed);
        CHECK_FALSE(world.engine().find_container("drunner-keep-app.previous"));
        CHECK(read_journals(machine.paths, app).empty());
        CHECK(refusal_of_rollback(world).find("of 'app' is gone") != std::string::npos);
    }
}

TEST_CASE(
    "a container of somebody else's that uses an old image stops neither updates nor removals") {
    World world;
    configure(world, "");
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    ContainerSpec spec;
    spec.name = "stranger";
    spec.image = "app";
    world.engine().start_container(world.engine().create_container(spec));
    const std::string tag = "localhost/drunner:app.1";
    SUBCASE("the release is dropped, its tag goes with the container") {
        for (const int version : {2, 3}) {
            world.build(version);
            CHECK(update(machine, app, {}).outcome == Outcome::changed);
        }
        CHECK(manifest_of(world).find_release(1) == nullptr);
        REQUIRE(world.progress().warnings.size() == 1);
        CHECK(world.progress().warnings[0].find(tag + "' stays") != std::string::npos);
        CHECK(world.engine().find_image(tag));
        world.engine().remove_container("stranger");
        const auto findings = doctor(machine, {.services = {}, .fix = true});
        CHECK(std::any_of(findings.begin(), findings.end(), [&](const DoctorFinding& finding) {
            return finding.what.find(tag) != std::string::npos &&
                   finding.state == DoctorFinding::State::mended;
        }));
        CHECK_FALSE(world.engine().find_image(tag));
    }
    SUBCASE("uninstall") {
        world.build(2);
        CHECK(uninstall(machine, app).outcome == Outcome::changed);
        CHECK(world.engine().find_container("stranger"));
        CHECK(read_journals(machine.paths, app).empty());
    }
}

TEST_CASE("back, and forward again, without the data") {
    World world;
    update_once(world);
    Machine machine = world.machine();
    CHECK(rollback(machine, app, {}).manifest.current == 1);
    CHECK(mine(world) == "new\n");
    CHECK(manifest_of(world).previous == 2);
    CHECK(world.engine().find_container("app")->image_id == manifest_of(world).release().image_id);
    CHECK(examine(machine, app).whole());
    CHECK(rollback(machine, app, {}).manifest.current == 2);
    CHECK(examine(machine, app).whole());
}

TEST_CASE("back, and forward again, each time with the data of the release") {
    World world;
    update_once(world);
    Machine machine = world.machine();
    rollback(machine, app, {true});
    CHECK(mine(world) == "old\n");
    world.write_data("drunner-app-data", "mine", "older than new\n");
    rollback(machine, app, {true});
    CHECK(mine(world) == "new\n");
    rollback(machine, app, {true});
    CHECK(mine(world) == "older than new\n");
}

TEST_CASE("the same with clones, which go with uninstall") {
    const ReflinkDisk disk;
    if (disk.path().empty()) {
        MESSAGE("no XFS can be mounted here: snapshots by clones are not tested");
        return;
    }
    const char* const before = getenv("TMPDIR");
    setenv("TMPDIR", disk.path().c_str(), 1);
    World world;
    before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", before, 1);
    update_once(world);
    Machine machine = world.machine();
    const std::string volume =
        parent_of(world.engine().find_volume("drunner-app-data")->mountpoint);
    CHECK(directory_entries(volume) == std::vector<std::string>{"_data", "drunner-data-1"});
    CHECK_FALSE(exists(archive_of(Paths(world.prefix()).kept_data(app, 1))));
    rollback(machine, app, {true});
    CHECK(mine(world) == "old\n");
    CHECK(directory_entries(volume) == std::vector<std::string>{"_data", "drunner-data-2"});
    rollback(machine, app, {true});
    CHECK(mine(world) == "new\n");
    uninstall(machine, app);
    CHECK(directory_entries(volume) == std::vector<std::string>{"_data"});
}

TEST_CASE("nothing to go back to") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    CHECK(rollback(machine, app, {true}).outcome == Outcome::unchanged);
    CHECK_THROWS_AS(rollback(machine, ServiceName("other"), {}), Error);
}

TEST_CASE("an update that spoils the data and fails puts it back") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.write_data("drunner-app-data", "mine", "old\n");
    world.build(2);
    const std::vector<std::string> before = world.state();
    world.scripts().corrupting = "updateend";
    world.scripts().failing = "updateend";
    CHECK_THROWS_AS(update(machine, app, {}), Error);
    CHECK(difference(before, world.state()) == "");
}

TEST_CASE("an update whose container does not stay up is undone, and told with its log") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.build(2);
    const std::vector<std::string> before = world.state();
    const std::string old_image = manifest_of(world).release().image_id;
    world.engine().run_programs_with([&](const FakeContainer& container) {
        return container.image_id == old_image ? FakeProgram()
                                               : FakeProgram{false, 9, "", "no schema\n"};
    });
    try {
        update(machine, app, {});
        FAIL("it must fail");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unhealthy);
        CHECK(error.rolled_back());
        CHECK(std::string(error.what()).ends_with("status 9; its last lines:\n  | no schema"));
    }
    CHECK(difference(before, world.state()) == "");
}

TEST_CASE("what is not kept is said before the update, and is the answer to --data") {
    World off;
    configure(off, "SNAPSHOT=off\n");
    update_once(off);
    CHECK(has(off.progress().warnings,
              "data of 'drunner-app-data' cannot be rolled back because SNAPSHOT is off"));
    CHECK(refusal_of_data(off).ends_with("it was not kept because SNAPSHOT is off"));

    World limited;
    configure(limited, "SNAPSHOT=copy\nSNAPSHOTLIMIT=10\n");
    update_once(limited);
    CHECK(has(limited.progress().warnings,
              "data of 'drunner-app-data' cannot be rolled back because 38 B of data are more "
              "than SNAPSHOTLIMIT (10 B)"));
    CHECK(refusal_of_data(limited).find("SNAPSHOTLIMIT") != std::string::npos);

    World foreign;
    configure(foreign, "SNAPSHOT=reflink\n");
    Machine machine = foreign.machine();
    foreign.engine().engine_info.user_namespaces = true;
    install(machine, {foreign.reference(), app, {}});
    foreign.build(2);
    update(machine, app, {});
    CHECK(refusal_of_data(foreign).find("userns-remap") != std::string::npos);

    World streamed;
    configure(streamed, "SNAPSHOTLIMIT=10\n");
    streamed.stream_volumes();
    update_once(streamed);
    CHECK(refusal_of_data(streamed).find("SNAPSHOTLIMIT (10 B)") != std::string::npos);
}

TEST_CASE("what a release was left with goes with clean, with uninstall, with the next update") {
    World world;
    update_once(world);
    Machine machine = world.machine();
    CHECK(has(clean(machine).removed, "data kept of release 1 of 'app'"));
    CHECK(refusal_of_data(world).find("not kept any more") != std::string::npos);
    CHECK(clean(machine).outcome == Outcome::unchanged);

    const Paths paths(world.prefix());
    world.build(3);
    update(machine, app, {});
    CHECK(exists(paths.kept_data(app, 2)));
    CHECK_FALSE(exists(paths.kept_data(app, 1)));
    rollback(machine, app, {true});
    CHECK(exists(paths.kept_data(app, 3)));
    CHECK_FALSE(exists(paths.kept_data(app, 2)));
    uninstall(machine, app);
    CHECK_FALSE(exists(paths.service(app)));
}

TEST_CASE("the copy that has no room is refused before anything is changed, with the bytes") {
    World world;
    configure(world, "SNAPSHOT=copy\n");
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.write_data("drunner-app-data", "mine", std::string(200'000, 'x'));
    const std::vector<ManagedVolume> volumes = manifest_of(world).volumes;
    const std::string image = manifest_of(world).release().image_id;
    const std::string services = Paths(world.prefix()).services();
    REQUIRE(mount("tmpfs", services.c_str(), "tmpfs", 0, "size=64k") == 0);
    std::string told;
    try {
        plan_snapshot(machine, volumes, image);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::no_space);
        told = error.what();
    }
    REQUIRE(umount(services.c_str()) == 0);
    CHECK(told.find("needs 200") != std::string::npos);
    CHECK(told.find("65536 are free") != std::string::npos);
    CHECK_NOTHROW(plan_snapshot(machine, volumes, image));
}

TEST_CASE("the record of images that failed") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.build(2);
    world.scripts().failing = "updateend";
    CHECK_THROWS_AS(update(machine, app, {}), Error);
    const std::string second = world.engine().find_image("app")->id;
    CHECK(manifest_of(world).failed_digests == std::vector<std::string>{second});
    world.scripts().failing.clear();
    update(machine, app, {});
    CHECK(manifest_of(world).failed_digests.empty());
    rollback(machine, app, {});
    CHECK(manifest_of(world).failed_digests == std::vector<std::string>{second});
    rollback(machine, app, {});
    CHECK(manifest_of(world).failed_digests ==
          std::vector<std::string>{manifest_of(world).find_release(1)->image_id});
}

TEST_CASE("a rollback that is killed behind its commit is finished, and not done once more") {
    World world;
    update_once(world);
    KilledAfter killer("commit");
    Machine machine = world.machine(&killer);
    CHECK_THROWS_AS(rollback(machine, app, {}), Killed);
    Machine next = world.machine();
    CHECK(rollback(next, app, {}).outcome == Outcome::changed);
    CHECK(manifest_of(world).current == 1);
    CHECK(examine(next, app).whole());
}

TEST_CASE("a release whose image or scripts are gone is not gone back to") {
    World world;
    update_once(world);
    Machine machine = world.machine();
    remove_tree(Paths(world.prefix()).release_scripts(app, 1) + "/servicerunner");
    CHECK_THROWS_AS(rollback(machine, app, {}), Error);
    CHECK(manifest_of(world).current == 2);
}

}  // namespace drunner::test
