#include "service/generated_files.hpp"

#include <doctest/doctest.h>

#include <random>

#include "core/error.hpp"
#include "unit/host/scratch.hpp"
#include "unit/service/bash_judge.hpp"

using namespace drunner;
using drunner::test::ask_bash;
using drunner::test::bash_words;
using drunner::test::Scratch;

namespace {

using Words = std::vector<std::string>;

Manifest a_manifest() {
    Manifest manifest{
        ServiceName("blog"), "id", "/run/docker.sock", "", "", 3, 0, {}, {}, {}, {}, {}, {}};
    Release release;
    release.number = 3;
    release.image_id = "sha256:1234";
    release.reference = "host:5000/team/blog:2";
    release.installed_at = "2026-11-22T18:30:00+00:00";
    release.config.volumes = {"/var/lib/samba", "/data"};
    release.config.extra_containers = {"redis:7"};
    release.config.secrets = {{"token", true, ""}, {"hint", false, ""}};
    release.uid = 22022;
    release.gid = 33;
    manifest.secrets = {"key"};
    manifest.releases.push_back(release);
    manifest.volumes = {{"/data", "drunner-blog-data", false},
                        {"/var/lib/samba", "drunner-blog-varlibsamba", true}};
    return manifest;
}

std::string written(const Scratch& scratch, const Manifest& manifest) {
    write_file(scratch.file("variables.sh"), variables_sh({manifest, manifest.release(), "10.0.0.7",
                                                           "/tmp/with space", "/secrets"}));
    return scratch.file("variables.sh");
}

}  // namespace

TEST_CASE("bash reads every variable of the contract") {
    const Scratch scratch;
    const std::string file = written(scratch, a_manifest());
    CHECK(bash_words(file, "VOLUMES") == Words{"/var/lib/samba", "/data"});
    CHECK(bash_words(file, "DOCKERVOLS") == Words{"drunner-blog-varlibsamba", "drunner-blog-data"});
    CHECK(bash_words(file, "DOCKEROPTS") ==
          Words{"-v", "drunner-blog-varlibsamba:/var/lib/samba:nocopy", "-v",
                "drunner-blog-data:/data:nocopy", "--label", "drunner.service=blog"});
    CHECK(bash_words(file, "EXTRACONTAINERS") == Words{"redis:7"});
    CHECK(bash_words(file, "SERVICENAME") == Words{"blog"});
    CHECK(bash_words(file, "IMAGENAME") == Words{"localhost/drunner:blog.3"});
    CHECK(bash_words(file, "IMAGEREF") == Words{"host:5000/team/blog:2"});
    CHECK(bash_words(file, "IMAGEID") == Words{"sha256:1234"});
    CHECK(bash_words(file, "INSTALLTIME") == Words{"2026-11-22T18:30:00+00:00"});
    CHECK(bash_words(file, "HOSTIP") == Words{"10.0.0.7"});
    CHECK(bash_words(file, "SERVICETEMPDIR") == Words{"/tmp/with space"});
    CHECK(bash_words(file, "IMAGEUSER") == Words{"22022:33"});
    CHECK(bash_words(file, "SECRETSDIR") == Words{"/secrets"});
    CHECK(bash_words(file, "REQUIREDSECRETS") == Words{"key", "token"});
}

TEST_CASE("a service without volumes has empty arrays that nounset accepts") {
    const Scratch scratch;
    Manifest manifest = a_manifest();
    manifest.releases[0].config = {};
    const std::string file = written(scratch, manifest);
    CHECK(bash_words(file, "VOLUMES").empty());
    CHECK(bash_words(file, "DOCKERVOLS").empty());
    CHECK(bash_words(file, "EXTRACONTAINERS").empty());
    CHECK(bash_words(file, "DOCKEROPTS") == Words{"--label", "drunner.service=blog"});
    CHECK(read_file(file).find("VOLUMES=()\n") != std::string::npos);
}

TEST_CASE("a volume keeps the name it was recorded with") {
    const Scratch scratch;
    Manifest manifest = a_manifest();
    manifest.volumes = {{"/data", "an-older-name", true}};
    CHECK(bash_words(written(scratch, manifest), "DOCKERVOLS") ==
          Words{"drunner-blog-varlibsamba", "an-older-name"});
}

TEST_CASE("settings come last: what is set, else what is declared as the default") {
    const Scratch scratch;
    Manifest manifest = a_manifest();
    manifest.releases[0].config.settings = {{"PORT", false, "80", "", "port"},
                                            {"TITLE", false, "my \"blog\"", "", "string"}};
    manifest.settings = {{"PORT", "8080"}};
    const std::string file = written(scratch, manifest);
    CHECK(bash_words(file, "PORT") == Words{"8080"});
    CHECK(bash_words(file, "TITLE") == Words{"my \"blog\""});
    const std::string text = read_file(file);
    CHECK(text.find("SERVICETEMPDIR=") < text.find("PORT="));
}

TEST_CASE("imagename.sh names the pinned image and the reference") {
    const Scratch scratch;
    const Manifest manifest = a_manifest();
    const std::string file = scratch.file("imagename.sh");
    write_file(file, imagename_sh(manifest, manifest.release()));
    CHECK(bash_words(file, "IMAGENAME") == Words{"localhost/drunner:blog.3"});
    CHECK(bash_words(file, "IMAGEREF") == Words{"host:5000/team/blog:2"});
}

TEST_CASE("bash reads back exactly the bytes, in every locale") {
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> any_byte(1, 255);
    std::uniform_int_distribution<std::size_t> length(0, 40);
    const std::string steering = "'\"\\$`!\n\r\t (){}[]*?~#&|;<>=%\x1b\x7f";
    std::uniform_int_distribution<std::size_t> steer(0, steering.size() - 1);
    Words values{"",         "plain", "it's",   "\"",    "$HOME",
                 "$(id)",    "`id`",  "a\nb\n", "\n",    "\xc3\xbc\xe2\x82\xac",
                 "\xff\xfe", "-n",    "\\",     "\\'",   "a\\",
                 "!!",       "'",     "$'",     "\\101", "a b  c",
                 "*"};
    for (int i = 0; i < 300; ++i) {
        std::string value;
        for (std::size_t n = length(random); n > 0; --n) {
            value += n % 2 == 0 ? static_cast<char>(any_byte(random)) : steering[steer(random)];
        }
        values.push_back(value);
    }
    std::string program = "set -euo pipefail\nVALUES=(";
    for (const std::string& value : values) {
        program += " " + bash_quote(value);
    }
    std::string expected;
    for (const std::string& value : values) {
        expected += value + '\0';
    }
    for (const std::string locale : {"C", "C.UTF-8", "ja_JP.SJIS"}) {
        CAPTURE(locale);
        const auto answer =
            ask_bash(program + ")\nprintf '%s\\0' \"${VALUES[@]}\"", {"LC_ALL=" + locale});
        // Bash itself says so where the machine lacks a locale; what it prints comes after that.
        REQUIRE(answer.output.size() >= expected.size());
        CHECK(answer.output.substr(answer.output.size() - expected.size()) == expected);
    }
}

TEST_CASE("a NUL byte cannot be given to a script") {
    CHECK_THROWS_AS(bash_quote(std::string_view("a\0b", 3)), Error);
}
