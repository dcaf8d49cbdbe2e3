#include "container/tenant_containers.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "container/container_calls.hpp"
#include "container/root_image.hpp"
#include "core/error.hpp"
#include "fakes/fake_engine.hpp"
#include "fakes/fake_registry.hpp"
#include "fakes/silent_progress.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using namespace drunner::test;
using nlohmann::json;

namespace {

struct World {
    TemporaryDirectory directory;
    FakeRegistry registry;
    FakeEngine engine{directory.path() + "/engine", &registry};
    SilentProgress progress;

    World() { engine.add_image("debian:12", {}); }

    ContainerHost host() {
        return {engine, registry, progress, Paths(directory.path() + "/p"), "drunner test", {}};
    }
    TenantContainers of(const char* tenant) { return {host(), Tenant(tenant)}; }
    std::size_t objects() {
        return engine.list_containers({}).size() + engine.list_networks({}).size() +
               engine.list_tags(root_repository).size();
    }
};

ContainerRequest request(const std::string& name, const json& changes = json::object()) {
    json document{{"Name", name}, {"RootFS", "debian:12"}, {"Network", {{"Namespace", "net"}}}};
    document.update(changes);
    return parse_container_request(document.dump());
}

template <typename Work>
ErrorKind kind_of(Work&& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("nothing was thrown");
    return ErrorKind::system;
}

}  // namespace

TEST_CASE("two tenants have a container of one name") {
    World world;
    const std::string a = world.of("A").run(request("web"));
    const std::string b = world.of("B").run(request("web"));
    CHECK(a != b);
    CHECK(json::parse(world.of("A").inspect("web"))["State"]["Id"] == a);
    CHECK(json::parse(world.of("B").inspect(b))["State"]["Id"] == b);
    CHECK(kind_of([&] { world.of("A").inspect(b); }) == ErrorKind::engine_not_found);
    CHECK(kind_of([&] { world.of("A").run(request("web")); }) == ErrorKind::engine_conflict);
    CHECK(list_tenant_containers(world.engine, "A").size() == 1);
    CHECK(list_tenant_containers(world.engine, "").size() == 2);
    world.of("A").remove("web");
    CHECK(kind_of([&] { world.of("A").remove("web"); }) == ErrorKind::engine_not_found);
    CHECK(list_tenant_containers(world.engine, "").size() == 1);
    CHECK(world.engine.list_networks({}).size() == 1);
    world.of("B").remove(b);
    CHECK(world.objects() == 0);
}

TEST_CASE("a network goes with its last container, running or not") {
    World world;
    const std::string one = world.of("A").run(request("one"));
    world.of("A").run(request("two"));
    world.engine.stop_container(one, std::chrono::seconds(0));
    world.of("A").remove("two");
    CHECK(world.engine.list_networks({}).size() == 1);
    world.of("A").remove("one");
    CHECK(world.objects() == 0);
}

TEST_CASE("a run that fails at any call leaves nothing") {
    for (const bool before : {true, false}) {
        for (std::size_t failing = 0;; ++failing) {
            World world;
            const std::string root = world.directory.path() + "/root";
            std::filesystem::create_directories(root);
            std::ofstream(root + "/file") << "x";
            std::size_t count = 0;
            bool failed = false;
            world.engine.observe([&](const std::string&, bool is_before) {
                if (is_before == before && count++ == failing && !failed) {
                    failed = true;
                    throw Error(ErrorKind::engine_refused, "broken");
                }
            });
            try {
                world.of("A").run(request("web", {{"RootFS", root}}));
            } catch (const Error&) {
            }
            world.engine.observe({});
            CAPTURE(before);
            CAPTURE(failing);
            if (!failed) {
                CHECK(failing > 4);
                CHECK(world.objects() == 3);
                break;
            }
            CHECK(world.engine.list_containers({}).empty());
            // Where the engine made a network or image and nobody heard of it, the next delete
            // takes it.
            world.of("A").run(request("web", {{"RootFS", root}}));
            world.of("A").remove("web");
            CHECK(world.objects() == 0);
        }
    }
}

TEST_CASE("what a killed run left is in nobody's way") {
    World world;
    world.engine.create_container_from(
        "drunner.A.web",
        json{{"Image", "debian:12"}, {"Labels", {{"drunner.tenant", "A"}}}}.dump());
    const std::string id = world.of("A").run(request("web"));
    CHECK(world.engine.find_container(id)->state == "running");
}

TEST_CASE("more processors than there are") {
    World world;
    world.engine.engine_info.processors = 2;
    CHECK(kind_of([&] { world.of("A").run(request("web", {{"CPU", 3}})); }) == ErrorKind::usage);
    CHECK(world.objects() == 0);
    world.of("A").run(request("web", {{"CPU", 2}}));
}

TEST_CASE("a root directory that is the same is imported once, and goes with its last container") {
    World world;
    const std::string root = world.directory.path() + "/root";
    std::filesystem::create_directories(root);
    std::ofstream(root + "/file") << "x";
    world.of("A").run(request("one", {{"RootFS", root}}));
    world.of("B").run(request("two", {{"RootFS", root}}));
    CHECK(world.engine.list_tags(root_repository).size() == 1);
    world.of("A").remove("one");
    CHECK(world.engine.list_tags(root_repository).size() == 1);
    world.of("B").remove("two");
    CHECK(world.objects() == 0);
    CHECK(kind_of([&] {
              world.of("A").run(request("one", {{"RootFS", root + "/file"}}));
          }) == ErrorKind::usage);
}

TEST_CASE("calls in JSON") {
    World world;
    const auto call = [&](const std::string& line) {
        return json::parse(answer_call(world.host(), line));
    };
    const json spec{{"Name", "web"}, {"RootFS", "debian:12"}, {"Network", {{"Namespace", "none"}}}};
    const json made =
        call(json{{"method", "Run"}, {"namespace", "A"}, {"spec", spec}, {"tag", {1, 2}}}.dump());
    CHECK(made["tag"] == json{1, 2});
    const json told = call(R"({"method":"Inspect","namespace":"A","id":"web"})")["result"];
    CHECK(told == json::parse(world.of("A").inspect("web")));
    CHECK(told["State"]["Id"] == made["result"]["Id"]);
    CHECK(call(R"({"method":"List"})")["result"].size() == 1);
    CHECK(call(R"({"method":"List","namespace":"B"})")["result"].empty());
    world.engine.run_programs_with([](const FakeContainer& container) {
        return FakeProgram{false, 5, container.arguments.back(), std::string(2U << 20U, 'e')};
    });
    const json ran =
        call(R"({"method":"Exec","namespace":"A","id":"web","command":["a","b"]})")["result"];
    CHECK(ran["ExitCode"] == 5);
    CHECK(ran["Stdout"] == "b");
    CHECK(ran["Stderr"].get<std::string>().size() == 1U << 20U);
    CHECK(ran["Truncated"] == true);
    const auto kind = [&](const char* line) { return call(line)["error"]["kind"]; };
    CHECK(kind("") == "usage");
    CHECK(kind("\xff\xfe") == "usage");
    CHECK(kind("[1]") == "usage");
    CHECK(kind(R"({"method":3})") == "usage");
    CHECK(kind(R"({"method":"Run","namespace":"A"})") == "usage");
    CHECK(kind(R"({"method":"Run","namespace":"A","spec":{}})") == "usage");
    CHECK(kind(R"({"method":"Exec","namespace":"A","id":"web","command":[]})") == "usage");
    CHECK(kind(R"({"method":"Logs","namespace":"A","id":"web","lines":-1})") == "usage");
    CHECK(kind(R"({"method":"Inspect","namespace":"A","id":"web","extra":1})") == "usage");
    CHECK(kind(R"({"method":"Inspect","namespace":"..","id":"web"})") == "invalid-name");
    CHECK(kind(R"({"method":"Delete","namespace":"B","id":"web"})") == "engine-not-found");
    CHECK(call(R"({"method":"Delete","namespace":"A","id":"web"})")["result"].empty());
    CHECK(world.objects() == 0);
}
