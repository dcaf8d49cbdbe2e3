#include "operation/side_by_side.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "fakes/world.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "service/audit_trail.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

using Texts = std::vector<std::string>;

std::vector<ServiceName> names_of(const Texts& texts) {
    return {texts.begin(), texts.end()};
}

// Keeps whole lines of what is said.
class Lines : public SilentProgress {
  public:
    void note(std::string_view text) override { said.emplace_back(text); }
    void script_output(std::string_view bytes) override { said.emplace_back(bytes); }

    Texts said;
};

}  // namespace

TEST_CASE("work goes side by side, never more than asked for, and each once") {
    World world;
    Machine machine = world.machine();
    const std::vector<Work> list(40, Work{"one"});
    std::atomic<int> now = 0;
    std::atomic<int> most = 0;
    std::vector<int> done(list.size());
    work_side_by_side(machine, list, 4, [&](Machine&, std::size_t place) {
        const int running = ++now;
        int before = most;
        while (before < running && !most.compare_exchange_weak(before, running)) {
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        ++done[place];
        --now;
        return true;
    });
    CHECK(most > 1);
    CHECK(most <= 4);
    CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 1; }));
}

TEST_CASE("a service comes after those it names; one that failed stops nobody, and is told") {
    for (const unsigned jobs : {1U, 3U}) {
        World world;
        Machine machine = world.machine();
        const ServiceOrder order =
            order_services(names_of({"app", "cache", "db", "web"}),
                           {{"db", "cache", "missing"}, {}, {}, {"app", "web"}});
        CHECK(order.cycles.empty());
        std::mutex mutex;
        Texts ended;
        work_side_by_side(machine, order.list, jobs, [&](Machine& own, std::size_t place) {
            own.progress.note("here");
            const std::lock_guard lock(mutex);
            ended.push_back(order.list[place].name);
            return order.list[place].name != "db";
        });
        REQUIRE(ended.size() == 4);
        CHECK(ended[2] == "app");
        CHECK(ended[3] == "web");
        const std::string prefix = jobs == 1 ? "" : "app | ";
        CHECK(world.progress().warnings ==
              Texts{prefix + "'db' failed, and 'app' comes after it (AFTER)"});
    }
}

TEST_CASE("a circle is told and broken at its first, and what comes after it waits all the same") {
    const ServiceOrder order =
        order_services(names_of({"a", "b", "c", "d"}), {{"c"}, {"c"}, {"d"}, {"c"}});
    CHECK(order.list[0].after == std::vector<std::size_t>{2});
    CHECK(order.list[1].after == std::vector<std::size_t>{2});
    CHECK(order.list[2].after.empty());
    CHECK(order.list[3].after == std::vector<std::size_t>{2});
    CHECK(order.cycles == Texts{"'c' and 'd' come after each other (AFTER); 'c' goes first"});
    CHECK(order_services(names_of({"a"}), {{"a"}}).list[0].after.empty());
}

TEST_CASE("what is told and audited is put together in the order of the list") {
    World world;
    Machine machine = world.machine();
    Changes changes;
    std::vector<AuditedService> audited;
    machine.changes = &changes;
    machine.audited = &audited;
    work_side_by_side(machine, {{"a"}, {"b"}, {"c"}}, 3, [&](Machine& own, std::size_t place) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10 * (3 - place)));
        tell_change(own, "change " + std::to_string(place));
        own.audited->push_back({"service " + std::to_string(place), {}, {}});
        return true;
    });
    CHECK(changes.words == Texts{"change 0", "change 1", "change 2"});
    REQUIRE(audited.size() == 3);
    CHECK(audited[2].name == "service 2");
}

TEST_CASE("what is said side by side is told apart, by the line") {
    World world;
    Lines lines;
    Machine machine = world.machine().saying_to(lines);
    work_side_by_side(machine, {{"a"}, {"b"}}, 2, [&](Machine& own, std::size_t place) {
        if (place == 0) {
            own.progress.note("begun");
            own.progress.script_output("ha");
            own.progress.script_output("lf\nand ");
            own.progress.script_output("rest");
        }
        return true;
    });
    CHECK(lines.said == Texts{"a | begun", "a | half\n", "a | and rest\n"});
}

TEST_CASE("after a signal none begins any more, and what was thrown is thrown") {
    for (const unsigned jobs : {1U, 2U}) {
        World world;
        Machine machine = world.machine();
        std::atomic<int> begun = 0;
        const std::vector<Work> list(10, Work{"one"});
        CHECK_THROWS_WITH_AS(work_side_by_side(machine, list, jobs,
                                               [&](Machine&, std::size_t) {
                                                   ++begun;
                                                   request_cancellation(SIGTERM);
                                                   check_cancellation();
                                                   return true;
                                               }),
                             "interrupted by SIGTERM", Error);
        request_cancellation(0);
        CHECK(begun <= static_cast<int>(jobs));
    }
}

TEST_CASE("services are updated side by side as they are one after the other") {
    World world;
    Machine machine = world.machine();
    std::vector<ServiceName> names;
    for (const char* name : {"one", "two", "three", "four", "five", "six"}) {
        names.emplace_back(name);
        install(machine, {world.reference(), names.back(), {}, {}});
    }
    world.build(2);
    world.scripts().failing.clear();
    const std::vector<ServiceUpdate> updates = update_each(machine, names, Attendance::attended, 4);
    REQUIRE(updates.size() == names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        CHECK(updates[i].name == names[i]);
        CHECK(updates[i].verdict == UpdateVerdict::updated);
        CHECK(examine(machine, names[i]).whole());
    }
    const std::vector<ServiceCondition> all = status_all(machine, 3);
    CHECK(all.size() == names.size());
    CHECK(std::all_of(all.begin(), all.end(), [](const auto& one) { return one.whole(); }));
}
