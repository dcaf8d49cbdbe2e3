#include "service/settings.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"

using namespace drunner;

namespace {

SettingDeclaration of_type(const std::string& type) {
    return {"NAME", false, "", "", type};
}

std::string refusal(const std::string& type, const std::string& value) {
    try {
        checked_setting(of_type(type), value);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.what();
    }
    return "";
}

Manifest with(std::vector<SettingDeclaration> declared, Settings given) {
    Manifest manifest{ServiceName("blog"), "", "", "", "", 1, 0, {}, {}, {}, {}, {}, {}};
    Release release;
    release.number = 1;
    release.config.settings = std::move(declared);
    manifest.releases = {release};
    manifest.settings = std::move(given);
    return manifest;
}

}  // namespace

TEST_CASE("values that are what their type means") {
    const struct {
        const char* type;
        std::vector<std::string> good;
        std::vector<std::string> bad;
    } rows[]{
        {"string", {"", "a b", "\n", "\xff", "$(id)"}, {std::string("a\0b", 3)}},
        {"int", {"0", "-5", "12345678901"}, {"1.5", "one", "1 ", "+1", "99999999999999999999"}},
        {"port", {"1", "80", "65535"}, {"0", "65536", "-1", "080", "http"}},
        {"path", {"/", "/a b/c"}, {"a", "./a", "/a/../b", "/.."}},
        {"url", {"https://x/", "unix:///x"}, {"x", "http://", "://x", "1x://y", "http://a b"}},
    };
    for (const auto& row : rows) {
        for (const std::string& value : row.good) {
            INFO(row.type << " '" << value << "'");
            CHECK(checked_setting(of_type(row.type), value) == value);
        }
        for (const std::string& value : row.bad) {
            INFO(row.type << " '" << value << "'");
            CHECK(refusal(row.type, value).find("setting 'NAME' is '") == 0);
        }
    }
}

TEST_CASE("a bool is kept as yes or no") {
    for (const char* word : {"yes", "true", "on", "1"}) {
        CHECK(checked_setting(of_type("bool"), word) == "yes");
    }
    for (const char* word : {"no", "false", "off", "0"}) {
        CHECK(checked_setting(of_type("bool"), word) == "no");
    }
    CHECK(refusal("bool", "perhaps").find("yes or no") != std::string::npos);
}

TEST_CASE("nothing is a value of every type") {
    for (const char* type : {"string", "int", "bool", "port", "path", "url"}) {
        CHECK(checked_setting(of_type(type), "").empty());
    }
}

TEST_CASE("scripts see each declared setting, as given or by default, and no other") {
    const Manifest manifest = with({{"PORT", false, "80", "", "port"}, {"TITLE", false, "x", ""}},
                                   {{"PORT", "81"}, {"OLD", "gone"}});
    CHECK(effective_settings(manifest.release().config, manifest.settings) ==
          Settings{{"PORT", "81"}, {"TITLE", "x"}});
}

TEST_CASE("required settings without a value are missing, an empty one too") {
    const Manifest manifest = with(
        {{"A", true, "", ""}, {"B", true, "b", ""}, {"C", true, "c", ""}, {"D", false, "", ""}},
        {{"C", ""}});
    CHECK(missing_settings(manifest.release().config, manifest.settings) ==
          std::vector<std::string>{"A", "C"});
}

TEST_CASE("a release adopts what is given, and refuses what it cannot mean") {
    Manifest manifest = with({{"ON", false, "no", "", "bool"}}, {{"ON", "true"}, {"OLD", "kept"}});
    adopt_settings(manifest);
    CHECK(manifest.release().settings == Settings{{"ON", "yes"}});
    CHECK(manifest.settings.at("OLD") == "kept");

    manifest.settings["ON"] = "2";
    try {
        adopt_settings(manifest);
        FAIL("it must throw");
    } catch (const Error& error) {
        CHECK(error.next() == "drunner configure blog --clear ON");
    }
}

TEST_CASE("a setting that is not declared is named") {
    const Manifest manifest = with({{"PORT", false, "80", ""}}, {});
    CHECK(declared_setting(manifest, "PORT").default_value == "80");
    CHECK_THROWS_AS(declared_setting(manifest, "HOST"), Error);
}
