#include "container/container_request.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"

using namespace drunner;
using nlohmann::json;
using Words = std::vector<std::string>;

namespace {

const json least{{"Name", "web"}, {"RootFS", "debian:12"}, {"Network", {{"Namespace", "net"}}}};

ContainerRequest parsed(const json& changes = json::object()) {
    json document = least;
    document.update(changes);
    return parse_container_request(document.dump());
}

std::string refusal(const std::string& text) {
    try {
        parse_container_request(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.what();
    }
    return "accepted";
}

std::string refusal_of(const json& changes) {
    json document = least;
    document.update(changes);
    return refusal(document.dump());
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an entrypoint is parted as a shell parts it") {
    const auto words = [](const char* text) { return entrypoint_words(text).value(); };
    CHECK(words("") == Words{});
    CHECK(words("  a\tb\n c ") == Words{"a", "b", "c"});
    CHECK(words("sh -c \"echo 'a  b'\"") == Words{"sh", "-c", "echo 'a  b'"});
    CHECK(words("'a \"b' c\\ d") == Words{"a \"b", "c d"});
    CHECK(words("a'b'\"c\"d") == Words{"abcd"});
    CHECK(words("'' \"\"") == Words{"", ""});
    CHECK(words("\"a\\\"b\\\\c\\nd\"") == Words{"a\"b\\c\\nd"});
    CHECK(words("$HOME `x` *") == Words{"$HOME", "`x`", "*"});
    CHECK_FALSE(entrypoint_words("a 'b").has_value());
    CHECK_FALSE(entrypoint_words("a \"b").has_value());
    CHECK_FALSE(entrypoint_words("a\\").has_value());
}

TEST_CASE("a request comes back as it was given") {
    const json given{
        {"Name", "web"},
        {"RootFS", "debian:12"},
        {"Env", {"A=1", "B=x=y"}},
        {"Network", {{"Namespace", "net"}}},
        {"Mounts", {{{"Source", "/a"}, {"Target", "/b"}, {"Options", {"ro", "bind", "rslave"}}}}},
        {"Entrypoint", "sleep 1"},
        {"Interactive", false},
        {"CPU", 1},
        {"Memory", 67108864},
        {"ShutdownTimeout", 0},
        {"Elevated", true}};
    const ContainerRequest request = parse_container_request(given.dump());
    CHECK_FALSE(has(request.canonical, "A=1"));
    CHECK(json::parse(request_document(request.canonical, request.environment)) == given);
    CHECK(request.grace().count() == 0);
    CHECK(parsed().grace().count() == 10);
    CHECK(json::parse(request_document(parsed({{"Env", json::array()}}).canonical, {}))
              .contains("Env"));
}

TEST_CASE("everything that is wrong is told at once") {
    const std::string told = refusal_of(json{{"Name", "a b"},
                                             {"nework", 1},
                                             {"Env", {"SECRET", "A=1", "A=2"}},
                                             {"CPU", "x"},
                                             {"Memory", 1},
                                             {"ShutdownTimeout", -1},
                                             {"Elevated", 1},
                                             {"Entrypoint", "'"},
                                             {"Mounts", {1, {{"Type", "volume"}}}}});
    for (const char* part : {"Name 'a b'", "there is no field 'nework', did you mean 'Network'?",
                             "not KEY=VALUE", "'A' twice", "CPU is not a number", "Memory is",
                             "ShutdownTimeout is", "Elevated is not true or false", "not closed",
                             "Mounts[0]: not an object", "Mounts[1]: Type is 'volume'"}) {
        CAPTURE(part);
        CHECK(has(told, part));
    }
    CHECK_FALSE(has(told, "SECRET"));
}

TEST_CASE("single mistakes") {
    CHECK(has(refusal("[]"), "not one JSON object"));
    CHECK(has(refusal("{} {}"), "not one JSON object"));
    CHECK(has(refusal("{}"), "Network.Namespace is missing"));
    CHECK(has(refusal("{}"), "RootFS is missing"));
    CHECK(has(refusal_of(json{{"Network", {{"Namespace", ""}}}}), "Network.Namespace is missing"));
    CHECK(has(refusal_of(json{{"Network", {{"Namespace", "a/b"}}}}), "'a/b'"));
    CHECK(
        has(refusal_of(json{{"Network", {{"Namespace", "a"}, {"X", 1}}}}), "Network: there is no"));
    CHECK(has(refusal_of(json{{"RootFS", "UPPER"}}), "RootFS: "));
    CHECK(has(refusal_of(json{{"RootFS", "/"}}), "RootFS '/'"));
    CHECK(has(refusal_of(json{{"RootFS", "/a/../b"}}), "RootFS '/a/../b'"));
    const auto mount = [](const json& one) { return refusal_of(json{{"Mounts", {one}}}); };
    CHECK(has(mount({{"Source", "a"}, {"Target", "/b"}}), "Source 'a'"));
    CHECK(has(mount({{"Source", "/a"}, {"Target", "/"}}), "Target '/'"));
    CHECK(has(mount({{"Source", "/a"}, {"Target", "/b"}, {"Options", {"size=1"}}}), "'size=1'"));
    CHECK(has(mount({{"Target", "/b"}, {"Type", "tmpfs"}, {"Options", {"size=0"}}}), "'size=0'"));
    CHECK(has(mount({{"Target", "/b"}, {"Type", "tmpfs"}, {"Options", {"mode=9"}}}), "'mode=9'"));
    const json same{{"Source", "/a"}, {"Target", "/b"}};
    CHECK(has(refusal_of(json{{"Mounts", {same, same}}}), "same Target"));
}

TEST_CASE("what a request means to the engine") {
    const Tenant tenant("A");
    const json plain = json::parse(container_body(tenant, parsed(), "debian:12"));
    CHECK(plain["HostConfig"]["NetworkMode"] == "drunner.A.net");
    CHECK(plain["NetworkingConfig"]["EndpointsConfig"]["drunner.A.net"]["Aliases"] == Words{"web"});
    CHECK(plain["HostConfig"]["RestartPolicy"] ==
          json{{"Name", "on-failure"}, {"MaximumRetryCount", 3}});
    CHECK_FALSE(plain.contains("Entrypoint"));
    CHECK_FALSE(plain["HostConfig"].contains("CapAdd"));
    CHECK(plain["HostConfig"]["Init"] == false);

    const json full = json::parse(container_body(
        tenant,
        parsed({{"Network", {{"Namespace", "host"}}},
                {"Interactive", true},
                {"Elevated", true},
                {"CPU", 1.5},
                {"Memory", 67108864},
                {"Mounts",
                 {{{"Target", "/t"}, {"Type", "tmpfs"}, {"Options", {"size=2m", "mode=1777"}}},
                  {{"Source", "/s"}, {"Target", "/b"}, {"Options", {"ro", "bind"}}}}}}),
        "debian:12"));
    const json& host = full["HostConfig"];
    CHECK(host["NetworkMode"] == "host");
    CHECK_FALSE(full.contains("NetworkingConfig"));
    CHECK_FALSE(full.contains("Hostname"));
    CHECK_FALSE(full["Labels"].contains("drunner.network"));
    CHECK(host["Init"] == true);
    CHECK(full["Tty"] == true);
    CHECK(host["NanoCpus"] == 1'500'000'000);
    CHECK(host["MemorySwap"] == 67108864);
    CHECK(host["CapAdd"] == Words{"SYS_ADMIN"});
    CHECK(host["Mounts"][0]["TmpfsOptions"] == json{{"SizeBytes", 2097152}, {"Mode", 01777}});
    CHECK(host["Mounts"][1]["ReadOnly"] == true);
    CHECK(host["Mounts"][1]["BindOptions"]["NonRecursive"] == true);
}

TEST_CASE("tenants' names part in one way only") {
    CHECK(Tenant("a-b").engine_name("c.d") == "drunner.a-b.c.d");
    for (const char* wrong : {"", "a.b", "-a", "a b", "a/b", "\n"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(Tenant{wrong}, Error);
    }
}
