#include "operation/health_gate.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "fakes/world.hpp"
#include "operation/operations.hpp"

namespace drunner::test {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::int64_t second = 1'000'000'000;

// Start period 2 s, then three times 1 s and at most 1 s: healthy within 8 s.
json quick_check() {
    return {{"Test", {"CMD", "true"}},
            {"StartPeriod", 2 * second},
            {"Interval", second},
            {"Timeout", second},
            {"Retries", 3}};
}

// A service whose hooks have just replaced its container, and the gate that judges it.
class Updated {
  public:
    explicit Updated(const json& check = nullptr) : machine(world.machine()) {
        install(machine, {world.reference(), service, {}});
        HealthGate before(machine, service);
        world.engine().remove_container("app");
        before.updatestart_returned();
        add("app", check);
        gate.emplace(before);
        machine.config.health_uptime = seconds(10);
    }

    void add(const std::string& name, const json& check = nullptr) {
        json body{{"Image", "app"}, {"Labels", {{label::service, "app"}}}};
        if (!check.is_null()) {
            body["Healthcheck"] = check;
        }
        world.engine().start_container(world.engine().create_container_from(name, body.dump()));
        if (!check.is_null()) {
            change([](FakeContainer& container) { container.health = "starting"; }, name);
        }
    }
    void change(const std::function<void(FakeContainer&)>& how, const std::string& name = "app") {
        world.engine().change_container(name, how);
    }
    // Once, when that much time is over.
    void after(milliseconds time, std::function<void()> work) {
        world.clock().on_wait = [time, work = std::move(work)](milliseconds waited) {
            if (waited == time) {
                work();
            }
        };
    }
    void after(milliseconds time, const std::function<void(FakeContainer&)>& how) {
        after(time, std::function<void()>([this, how] { change(how); }));
    }

    // Empty where the service is healthy.
    std::string verdict() {
        try {
            gate->require_healthy();
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::unhealthy);
            return error.what();
        }
        return "";
    }

    World world;
    Machine machine;
    const ServiceName service{"app"};
    std::optional<HealthGate> gate;
};

using Change = std::function<void(FakeContainer&)>;

}  // namespace

TEST_CASE("no healthcheck: it has to stay up for the minimum uptime, and no longer") {
    Updated updated;
    CHECK(updated.verdict() == "");
    CHECK(updated.world.clock().waited == seconds(10));
}

TEST_CASE("nothing runs: nothing is waited for, and what ran before is named") {
    Updated updated;
    updated.world.engine().remove_container("app");
    CHECK(updated.verdict() == "");
    CHECK(updated.world.clock().waited == seconds(0));
    REQUIRE(updated.world.progress().warnings.size() == 1);
    CHECK(updated.world.progress().warnings[0].find("'app' ran before") != std::string::npos);
}

TEST_CASE("healthy: as soon as it says so, but not before the minimum uptime") {
    for (const int healthy_after : {3, 7}) {
        Updated updated(quick_check());
        updated.machine.config.health_uptime = seconds(5);
        updated.after(seconds(healthy_after), Change([](auto& one) { one.health = "healthy"; }));
        CHECK(updated.verdict() == "");
        CHECK(updated.world.clock().waited == seconds(std::max(5, healthy_after)));
    }
}

TEST_CASE("never healthy: its own numbers are the limit") {
    Updated updated(quick_check());
    CHECK(updated.verdict() == "container 'app' did not become healthy within 8 s");
    CHECK(updated.world.clock().waited == seconds(8));
}

TEST_CASE("a stranger's numbers have a limit") {
    json check = quick_check();
    check["Interval"] = std::numeric_limits<std::int64_t>::max();
    check["Retries"] = 1000;
    Updated updated(check);
    CHECK(updated.verdict() == "container 'app' did not become healthy within 1800 s");
    CHECK(updated.world.clock().waited == minutes(30));
}

TEST_CASE("a healthcheck without numbers has the engine's own") {
    Updated updated(json{{"Test", {"CMD", "true"}}});
    CHECK(updated.verdict() == "container 'app' did not become healthy within 180 s");
}

TEST_CASE("unhealthy: told with the last lines of its log") {
    Updated updated(quick_check());
    updated.after(seconds(2), Change([](auto& one) {
                      one.health = "unhealthy";
                      for (int line = 1; line <= 60; ++line) {
                          one.err += "line " + std::to_string(line) + "\n";
                      }
                      one.err += "no database\x1b\n";
                  }));
    const std::string verdict = updated.verdict();
    CHECK(verdict.starts_with("container 'app' is unhealthy; its last lines:\n  | line 12\n"));
    CHECK(verdict.ends_with("\n  | no database\\x1b"));
    CHECK(updated.world.clock().waited == seconds(2));
}

TEST_CASE("it dies after five seconds") {
    Updated updated;
    updated.after(seconds(5), Change([](auto& one) {
                      one.state = "exited";
                      one.exit_code = 7;
                      one.out = "cannot go on\n";
                  }));
    CHECK(updated.verdict() ==
          "container 'app' ended with status 7; its last lines:\n  | cannot go on");
    CHECK(updated.world.clock().waited == seconds(5));
}

TEST_CASE("it ends without a failure, but it ran and has to go on running") {
    Updated updated;
    updated.after(seconds(1), Change([](auto& one) { one.state = "exited"; }));
    CHECK(updated.verdict() == "container 'app' ended with status 0");
}

TEST_CASE("it is gone, as one that was run with --rm") {
    Updated updated;
    updated.after(seconds(5),
                  std::function<void()>([&] { updated.world.engine().remove_container("app"); }));
    CHECK(updated.verdict() == "container 'app' ended and is gone");
}

TEST_CASE("a restart loop") {
    Updated updated;
    updated.after(seconds(3), Change([](auto& one) {
                      one.restart_count = 4;
                      one.exit_code = 1;
                  }));
    CHECK(updated.verdict().starts_with(
        "container 'app' does not stay up: it was restarted 4 times"));
    Updated waiting;
    waiting.change([](auto& one) {
        one.state = "restarting";
        one.restart_count = 9;
    });
    CHECK(waiting.verdict().starts_with(
        "container 'app' does not come up: it was restarted 9 times"));
    CHECK(waiting.world.clock().waited == seconds(10));
}

TEST_CASE("one that restarted while the hook ran, and stays up since, is healthy") {
    Updated updated;
    updated.change([](auto& one) { one.restart_count = 2; });
    CHECK(updated.verdict() == "");
}

TEST_CASE("what the hook started and ended: a job that is done, one that was stopped, a failure") {
    const struct {
        int status;
        bool healthy;
    } rows[]{{0, true}, {143, true}, {137, true}, {1, false}, {139, false}};
    for (const auto& row : rows) {
        CAPTURE(row.status);
        Updated updated;
        updated.add("app-job");
        updated.change(
            [&](FakeContainer& one) {
                one.state = "exited";
                one.exit_code = row.status;
            },
            "app-job");
        CHECK((updated.verdict() == "") == row.healthy);
    }
}

TEST_CASE("what ended long before the update is nobody's failure, what the update broke is") {
    World world;
    Machine machine = world.machine();
    const ServiceName service("app");
    install(machine, {world.reference(), service, {}});
    machine.config.health_uptime = seconds(0);
    world.engine().change_container("app", [](FakeContainer& one) {
        one.state = "exited";
        one.exit_code = 1;
    });
    HealthGate ended(machine, service);
    ended.updatestart_returned();
    CHECK_NOTHROW(ended.require_healthy());
    world.engine().start_container("app");
    HealthGate broken(machine, service);
    broken.updatestart_returned();
    world.engine().change_container("app", [](FakeContainer& one) {
        one.state = "exited";
        one.exit_code = 1;
    });
    CHECK_THROWS_AS(broken.require_healthy(), Error);
}

TEST_CASE("a signal ends the wait") {
    Updated updated;
    updated.after(seconds(2), std::function<void()>([] { request_cancellation(SIGINT); }));
    try {
        updated.gate->require_healthy();
        FAIL("it must be interrupted");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::interrupted);
    }
    request_cancellation(0);
    CHECK(updated.world.clock().waited == seconds(2));
}

}  // namespace drunner::test
