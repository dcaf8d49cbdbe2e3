#include "service/manifest.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

Manifest a_manifest(const std::string& name = "blog") {
    Manifest manifest{ServiceName(name),
                      "0123",
                      "/run/docker.sock",
                      "/usr/local/bin/" + name,
                      "always",
                      2,
                      1,
                      {},
                      {{"/data", "drunner-blog-data", false}, {"/old", "drunner-blog-old", true}},
                      {"sha256:aa"},
                      {"sha256:bb", "sha256:cc"},
                      {{"PORT", "80"}, {"TITLE", "\"\xc3\xbc\"\n"}},
                      {"key"}};
    for (const int number : {1, 2}) {
        Release release;
        release.number = number;
        release.image_id = "sha256:11";
        release.image_digest = "sha256:22";
        release.reference = "team/blog:2";
        release.user = "druser:drgroup";
        release.uid = 22022;
        release.gid = 22023;
        release.installed_at = "2026-11-22T18:30:00+00:00";
        release.config.volumes = {"/data"};
        release.config.extra_containers = {"redis"};
        release.config.version = 2;
        release.config.hooks = {"x"};
        release.config.selftest = true;
        release.config.settings = {{"PORT", true, "80", "the port", "port"}};
        release.config.secrets = {{"key", true, "the key"}};
        release.config.after = {"db"};
        release.config.backup_exclude = {"*.tmp"};
        release.extra_images = {{"redis", "sha256:33", "sha256:44"}};
        release.script_hashes = {{"servicerunner", "55"}, {"sub/file", "66"}};
        manifest.releases.push_back(release);
    }
    return manifest;
}

std::string complaint(const std::string& text) {
    try {
        manifest_from_json(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::broken);
        return error.what();
    }
    return "";
}

using Json = nlohmann::json;

struct Place {
    Json::json_pointer pointer;
    std::string shown;  // as messages name it
};

std::vector<Place> all_places(const Json& json, const Place& place = {Json::json_pointer(""), ""}) {
    std::vector<Place> places;
    const auto add = [&](const Json& value, const Place& inner) {
        places.push_back(inner);
        const std::vector<Place> further = all_places(value, inner);
        places.insert(places.end(), further.begin(), further.end());
    };
    if (json.is_object()) {
        for (const auto& [key, value] : json.items()) {
            add(value, {place.pointer / key, place.shown + (place.shown.empty() ? "" : ".") + key});
        }
    } else if (json.is_array()) {
        for (std::size_t i = 0; i < json.size(); ++i) {
            add(json[i], {place.pointer / i, place.shown + "[" + std::to_string(i) + "]"});
        }
    }
    return places;
}

}  // namespace

TEST_CASE("what is written is what is read") {
    const Manifest manifest = a_manifest();
    CHECK(manifest_from_json(to_json(manifest)) == manifest);
    CHECK(manifest.release().number == 2);
    CHECK(manifest.find_release(1)->number == 1);
    CHECK(manifest.find_release(3) == nullptr);
}

TEST_CASE("a hold is kept while it is there") {
    Manifest manifest = a_manifest();
    CHECK(to_json(manifest).find("hold") == std::string::npos);
    manifest.hold = Hold{"2026-11-22T18:30:00+00:00", 0};
    CHECK(manifest_from_json(to_json(manifest)) == manifest);
    manifest.hold->until = 1'800'000'000;
    CHECK(manifest_from_json(to_json(manifest)) == manifest);
}

TEST_CASE("that a secret is checked is kept where it is so") {
    Manifest manifest = a_manifest();
    CHECK(to_json(manifest).find("\"check\"") == std::string::npos);
    manifest.releases[1].config.secrets[0].check = true;
    CHECK(manifest_from_json(to_json(manifest)) == manifest);
    Json json = Json::parse(to_json(manifest));
    json["releases"][1]["config"]["secrets"][0]["check"] = "yes";
    CHECK(complaint(json.dump()) ==
          "service.json: 'releases[1].config.secrets[0].check' is not true or false");
}

TEST_CASE("service.json keeps its form") {
    const Json json = Json::parse(to_json(a_manifest()));
    CHECK(json["format"] == 1);
    CHECK(json["name"] == "blog");
    CHECK(json["releases"][1]["config"]["settings"][0]["default"] == "80");
    CHECK(json["volumes"][1]["adopted"] == true);
    CHECK(json["written_by"].is_string());
}

TEST_CASE("a value of another type is refused wherever it stands, with its place") {
    const Json whole = Json::parse(to_json(a_manifest()));
    const std::vector<Place> places = all_places(whole);
    REQUIRE(places.size() > 60);
    for (const Place& place : places) {
        Json changed = whole;
        changed[place.pointer] = nullptr;
        const std::string message = complaint(changed.dump());
        CAPTURE(message);
        CHECK(message.find("service.json: '" + place.shown + "' is ") == 0);
    }
}

TEST_CASE("a field too few or too many is refused with its name") {
    const Json whole = Json::parse(to_json(a_manifest()));
    for (const Place& place : all_places(whole)) {
        CAPTURE(place.shown);
        const auto parent = place.pointer.parent_pointer();
        const bool is_map = parent == Json::json_pointer("/settings") ||
                            place.shown.find("script_hashes.") != std::string::npos;
        if (!whole[parent].is_object() || is_map) {
            continue;
        }
        Json missing = whole;
        missing[parent].erase(place.pointer.back());
        CHECK(complaint(missing.dump()).find("'" + place.shown + "' is missing") !=
              std::string::npos);
        Json more = whole;
        more[parent]["surprise"] = 1;
        CHECK(complaint(more.dump()).find("surprise' is not a field") != std::string::npos);
    }
}

TEST_CASE("a manifest that contradicts itself is refused") {
    const auto changed = [](const char* place, const Json& value) {
        Json json = Json::parse(to_json(a_manifest()));
        json[Json::json_pointer(place)] = value;
        return complaint(json.dump());
    };
    CHECK(changed("/name", "../etc").find("'name'") != std::string::npos);
    CHECK(changed("/current", 7).find("'current' is 7") != std::string::npos);
    CHECK(changed("/previous", 7).find("'previous' is 7") != std::string::npos);
    CHECK(changed("/releases/0/number", 2).find("number 2") != std::string::npos);
    CHECK(changed("/releases/0/number", 0).find("number 0") != std::string::npos);
    CHECK(changed("/releases/0/number", -1).find("number from 0") != std::string::npos);
    CHECK(changed("/releases/0/uid", 4294967296).find("uid") != std::string::npos);
    CHECK(changed("/pull", "often").find("'pull'") != std::string::npos);
    CHECK(changed("/format", 0).find("'format' is 0") != std::string::npos);
    CHECK(complaint("{").find("not JSON") != std::string::npos);
    CHECK(complaint("[]").find("'format'") != std::string::npos);
}

TEST_CASE("a newer format names the version to install") {
    try {
        manifest_from_json(R"({"format": 2, "written_by": "9.1.0", "anything": {}})");
        FAIL("it was read");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::broken);
        CHECK(std::string(error.what()).find("format 2") != std::string::npos);
        CHECK(error.next() == "install drunner 9.1.0 or later");
    }
}

TEST_CASE("the catalog knows what is installed") {
    const Scratch scratch;
    const Paths paths(scratch.path());
    const Catalog catalog(paths);
    CHECK(catalog.names().empty());
    CHECK_FALSE(catalog.find(ServiceName("blog")));
    catalog.save(a_manifest("blog"));
    catalog.save(a_manifest("alpha"));
    make_directories(paths.service(ServiceName("half")));
    make_directories(paths.services() + "/Not A Service");
    write_file(paths.services() + "/file", "");
    CHECK(catalog.names() ==
          std::vector{ServiceName("alpha"), ServiceName("blog"), ServiceName("half")});
    CHECK(catalog.is_installed(ServiceName("blog")));
    CHECK_FALSE(catalog.is_installed(ServiceName("half")));
    CHECK(catalog.load(ServiceName("blog")) == a_manifest("blog"));

    const auto failure = [&](const char* name) {
        try {
            catalog.load(ServiceName(name));
        } catch (const Error& error) {
            return std::string(kind_word(error.kind())) + ": " + error.what() + ": " + error.next();
        }
        return std::string();
    };
    CHECK(failure("blgo").find("not-installed: 'blgo' is not installed, 'blog' is") == 0);
    CHECK(failure("zzzzzz") == "not-installed: 'zzzzzz' is not installed: drunner list");
    CHECK(failure("half").find("drunner recover half") != std::string::npos);
    write_file(paths.manifest(ServiceName("alpha")), to_json(a_manifest("blog")));
    CHECK(failure("alpha").find("broken: 'alpha': service.json: 'name' is 'blog'") == 0);
    write_file(paths.manifest(ServiceName("alpha")), "");
    CHECK(failure("alpha").find("broken: 'alpha': service.json: it is not JSON") == 0);
}

TEST_CASE("names in the engine") {
    CHECK(pinned_image(ServiceName("blog"), 12) == "localhost/drunner:blog.12");
    CHECK(keep_container(ServiceName("blog")) == "drunner-keep-blog");
}
