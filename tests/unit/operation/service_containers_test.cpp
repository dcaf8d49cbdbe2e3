#include "operation/service_containers.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "fakes/world.hpp"
#include "operation/operations.hpp"

namespace drunner::test {
namespace {

const ServiceName app("app");

void let_exit(World& world, const std::string& id) {
    world.engine().change_container(id,
                                    [](FakeContainer& container) { container.state = "exited"; });
}

// One container of the service runs, and it is not the one of before.
void check_made_anew(Machine& machine, const std::string& id) {
    const std::vector<ContainerSummary> containers = containers_of(machine, app);
    REQUIRE(containers.size() == 1);
    CHECK(containers[0].id != id);
    CHECK(containers[0].state == "running");
}

TEST_CASE("a container that is just being removed is made anew once it is gone") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    const nlohmann::json record = record_containers(machine, app);
    const std::string id = containers_of(machine, app).at(0).id;
    world.engine().change_container(id, [](FakeContainer& container) {
        container.state = "exited";  // run with --rm: the engine is about to remove it
    });
    world.engine().observe([&](const std::string& call, bool before) {
        if (before && call == "start_container " + id) {
            throw Error(ErrorKind::engine_conflict, "the container is marked for removal");
        }
    });
    world.clock().on_wait = [&](auto) { world.engine().remove_container(id); };
    restore_containers(machine, app, record);
    check_made_anew(machine, id);
}

TEST_CASE("a container that goes between two looks at it is made anew") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    const nlohmann::json record = record_containers(machine, app);
    const std::string id = containers_of(machine, app).at(0).id;
    let_exit(world, id);
    int looks = 0;
    world.engine().observe([&](const std::string& call, bool before) {
        if (!before && call == "find_container " + id && ++looks == 1) {
            world.engine().remove_container(id);
        }
    });
    restore_containers(machine, app, record);
    check_made_anew(machine, id);
}

TEST_CASE("what was run with --rm and stopped is awaited, not started") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    nlohmann::json record = record_containers(machine, app);
    record[0]["document"]["HostConfig"]["AutoRemove"] = true;
    const std::string id = containers_of(machine, app).at(0).id;
    let_exit(world, id);
    bool started = false;
    world.engine().observe([&](const std::string& call, bool) {
        started = started || call == "start_container " + id;
    });
    world.clock().on_wait = [&](auto) { world.engine().remove_container(id); };
    restore_containers(machine, app, record);
    CHECK_FALSE(started);
    check_made_anew(machine, id);
}

TEST_CASE("a container that can neither be started nor goes is named") {
    World world;
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    const nlohmann::json record = record_containers(machine, app);
    const std::string id = containers_of(machine, app).at(0).id;
    let_exit(world, id);
    world.engine().observe([&](const std::string& call, bool before) {
        if (before && call == "start_container " + id) {
            throw Error(ErrorKind::engine_conflict, "its network is gone");
        }
    });
    CHECK_THROWS_WITH_AS(restore_containers(machine, app, record),
                         doctest::Contains("its network is gone"), Error);
    CHECK(containers_of(machine, app).at(0).id == id);
}

}  // namespace
}  // namespace drunner::test
