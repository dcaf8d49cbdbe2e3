#include "container/watch.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "container/tenant.hpp"
#include "core/error.hpp"
#include "fakes/fake_engine.hpp"
#include "fakes/temporary_directory.hpp"
#include "host/file.hpp"

using namespace drunner;
using namespace drunner::test;
using nlohmann::json;

namespace {

class SettableClock : public Clock {
  public:
    TimePoint now() override { return time; }
    void wait(std::chrono::milliseconds) override {}
    TimePoint time{std::chrono::hours(500'000)};
};

struct World {
    TemporaryDirectory directory;
    FakeEngine engine{directory.path() + "/engine"};
    SettableClock clock;
    std::vector<std::string> said;
    Watch watch{engine, clock, [this](const WatchAction& one) { said.push_back(one.text()); }};

    World() {
        engine.add_image("debian:12", {});
        engine.engine_info.root_directory = directory.path() + "/root";
    }
    std::string make(const std::string& name, const json& labels, const std::string& policy) {
        const std::string id = engine.create_container_from(
            name,
            json{{"Image", "debian:12"},
                 {"Labels", labels},
                 {"HostConfig", {{"RestartPolicy", {{"Name", policy}, {"MaximumRetryCount", 3}}}}}}
                .dump());
        engine.start_container(id);
        return id;
    }
    std::string tenants(const std::string& name) {
        return make(name, {{container_label::tenant, "A"}}, "on-failure");
    }
    void end(const std::string& id, int code = 0, int restarts = 0) {
        engine.change_container(id, [&](FakeContainer& one) {
            one.state = "exited";
            one.exit_code = code;
            one.restart_count = restarts;
            one.started_at = "2026-01-01T00:00:00Z";
            one.finished_at = "2026-01-01T00:00:01Z";
        });
        const auto now =
            std::chrono::duration_cast<std::chrono::nanoseconds>(clock.time.time_since_epoch());
        engine.events.push_back({"die", id, engine.find_container(id)->labels, now.count()});
    }
    void stop_by_hand(const std::string& id) {
        const std::string place = engine.engine_info.root_directory + "/containers/" + id;
        make_directories(place);
        write_file(place + "/config.v2.json",
                   json{{"ID", id}, {"HasBeenManuallyStopped", true}}.dump());
    }
    std::string state(const std::string& id) { return engine.find_container(id)->state; }
    std::string policy(const std::string& id) {
        return container_state(*engine.find_container(id)).policy;
    }
};

}  // namespace

TEST_CASE("the engine's times") {
    CHECK(parse_engine_time("1970-01-01T00:00:01Z") == 1'000'000'000);
    CHECK(parse_engine_time("1970-01-01T00:00:01.5Z") == 1'500'000'000);
    CHECK(parse_engine_time("1970-01-01T01:00:01.000000007+01:00") == 1'000'000'007);
    CHECK(parse_engine_time("0001-01-01T00:00:00Z") == 0);
    CHECK(parse_engine_time("yesterday") == 0);
}

TEST_CASE("three ends within a minute are answered, the fourth is the last") {
    World world;
    const std::string id = world.tenants("web");
    for (int i = 0; i < 3; ++i) {
        world.end(id);
        world.watch.follow();
        CHECK(world.state(id) == "running");
        world.clock.time += std::chrono::seconds(10);
    }
    world.end(id);
    world.watch.follow();
    CHECK(world.state(id) == "exited");
    CHECK(world.policy(id) == "no");
    CHECK(world.said.back().find("'web' failed") == 0);
    CHECK(has_failed(container_state(*world.engine.find_container(id))));
    const std::size_t said = world.said.size();
    world.clock.time += std::chrono::hours(1);
    world.watch.follow();
    CHECK(world.said.size() == said);
    CHECK(ensure_containers(world.engine).empty());
    // Started by hand it is wanted again.
    world.engine.start_container(id);
    world.watch.follow();
    CHECK(world.policy(id) == "on-failure");
    world.end(id);
    world.watch.follow();
    CHECK(world.state(id) == "running");
}

TEST_CASE("ends that are far apart are answered for ever") {
    World world;
    const std::string id = world.tenants("web");
    for (int i = 0; i < 10; ++i) {
        world.end(id, 1, 3);
        world.watch.follow();
        CHECK(world.state(id) == "running");
        world.clock.time += std::chrono::seconds(25);
    }
}

TEST_CASE("an end is judged when all before it were heard") {
    World world;
    const std::string id = world.tenants("web");
    world.end(id, 9, 3);
    // The engine ended it four times; it has told of the first only.
    world.engine.change_container(id, [](FakeContainer& one) {
        one.started_at = "2027-01-15T08:00:00Z";
        one.finished_at = "2027-01-15T08:00:01Z";
    });
    CHECK(parse_engine_time("2027-01-15T08:00:00Z") ==
          std::chrono::nanoseconds(world.clock.time.time_since_epoch()).count());
    world.watch.follow();
    CHECK(world.state(id) == "exited");
    CHECK(world.policy(id) == "on-failure");
    const Labels labels = world.engine.find_container(id)->labels;
    for (int i = 1; i <= 3; ++i) {
        world.clock.time += std::chrono::seconds(1);
        world.engine.events.push_back(
            {"die", id, labels,
             std::chrono::nanoseconds(world.clock.time.time_since_epoch()).count()});
    }
    world.watch.follow();
    CHECK(world.policy(id) == "no");
}

TEST_CASE("another watch has no other budget") {
    World world;
    const std::string id = world.tenants("web");
    for (int i = 0; i < 3; ++i) {
        world.end(id);
        world.watch.follow();
        world.clock.time += std::chrono::seconds(1);
    }
    world.end(id);
    Watch second(world.engine, world.clock, [](const WatchAction&) {});
    second.follow();
    CHECK(world.state(id) == "exited");
    CHECK(world.policy(id) == "no");
}

TEST_CASE("what the engine gave up on while nobody watched has failed") {
    World world;
    const std::string id = world.tenants("web");
    world.end(id, 9, 3);
    world.engine.events.clear();
    CHECK(has_failed(container_state(*world.engine.find_container(id))));
    CHECK(ensure_containers(world.engine).empty());
    world.watch.follow();
    CHECK(world.policy(id) == "no");
    // One that ran long was ended by something else: the host, maybe.
    const std::string old = world.tenants("old");
    world.end(old, 137, 3);
    world.engine.events.clear();
    world.engine.change_container(
        old, [](FakeContainer& one) { one.finished_at = "2026-01-02T00:00:00Z"; });
    CHECK(ensure_containers(world.engine).size() == 1);
    CHECK(world.state(old) == "running");
}

TEST_CASE("what was stopped by hand, and what nobody watches, is left alone") {
    World world;
    const std::string stopped = world.tenants("stopped");
    world.end(stopped, 137);
    world.stop_by_hand(stopped);
    const std::string job = world.make("s-job", {{"drunner.service", "s"}}, "no");
    world.end(job);
    const std::string other = world.make("other", json::object(), "no");
    world.end(other);
    CHECK(ensure_containers(world.engine).empty());
    world.watch.follow();
    world.watch.follow();
    CHECK(world.said ==
          std::vector<std::string>{"leaving 'stopped' alone: it was stopped by hand"});
    CHECK(world.state(stopped) == "exited");
    CHECK(world.policy(stopped) == "unless-stopped");
    world.engine.start_container(stopped);
    world.watch.follow();
    CHECK(world.policy(stopped) == "on-failure");
}

TEST_CASE("a service's container that asks for it is watched") {
    World world;
    const std::string id =
        world.make("s-web", {{"drunner.service", "s"}, {container_label::watch, "yes"}}, "no");
    world.watch.follow();
    CHECK(world.policy(id) == "on-failure");
    CHECK(world.said == std::vector<std::string>{"watching 's-web'"});
    world.end(id);
    CHECK(ensure_containers(world.engine).front().text() == "started 's-web'");
}

TEST_CASE("one that cannot be started does not keep the others from it") {
    World world;
    const std::string bad = world.tenants("bad");
    const std::string good = world.tenants("good");
    world.end(bad);
    world.end(good);
    world.engine.observe([&](const std::string& call, bool before) {
        if (before && call == "start_container " + bad) {
            throw Error(ErrorKind::engine_refused, "no such network");
        }
    });
    world.watch.follow();
    CHECK(world.state(good) == "running");
    CHECK(std::count(world.said.begin(), world.said.end(), "cannot start 'bad': no such network") >
          0);
    world.end(good);
    const auto actions = ensure_containers(world.engine);
    CHECK(actions.size() == 2);
    CHECK(world.state(good) == "running");
}
