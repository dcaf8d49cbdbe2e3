#include "core/image_reference.hpp"

#include <doctest/doctest.h>

#include <string>

#include "core/error.hpp"

using drunner::ErrorKind;
using drunner::ImageReference;

namespace {

const std::string digest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string refusal(const std::string& text) {
    try {
        const ImageReference reference(text);
        return "accepted as " + reference.repository();
    } catch (const drunner::Error& error) {
        CHECK(error.kind() == ErrorKind::invalid_reference);
        return error.what();
    }
}

bool is_refused(const std::string& text, const std::string& reason = "") {
    const std::string message = refusal(text);
    INFO(message);
    return message.find("is not an image reference: ") != std::string::npos &&
           message.find(reason) != std::string::npos;
}

}  // namespace

TEST_CASE("the domain of a reference is told from the path") {
    struct Row {
        const char* text;
        const char* domain;
        const char* path;
        const char* tag;
        const char* familiar;
    };
    const Row rows[] = {
        {"debian", "docker.io", "library/debian", "", "debian"},
        {"debian:12", "docker.io", "library/debian", "12", "debian"},
        {"team/app", "docker.io", "team/app", "", "team/app"},
        {"library/debian", "docker.io", "library/debian", "", "debian"},
        {"library/a/b", "docker.io", "library/a/b", "", "library/a/b"},
        {"docker.io/debian", "docker.io", "library/debian", "", "debian"},
        {"index.docker.io/debian:1", "docker.io", "library/debian", "1", "debian"},
        {"registry-1.docker.io/library/debian", "docker.io", "library/debian", "", "debian"},
        {"localhost/app", "localhost", "app", "", "localhost/app"},
        {"localhost:5000", "docker.io", "library/localhost", "5000", "localhost"},
        {"localhost:5000/app", "localhost:5000", "app", "", "localhost:5000/app"},
        {"127.0.0.1:5000/team/app:2", "127.0.0.1:5000", "team/app", "2", "127.0.0.1:5000/team/app"},
        {"host:5000/app", "host:5000", "app", "", "host:5000/app"},
        {"host/app", "docker.io", "host/app", "", "host/app"},
        {"HOST/app", "HOST", "app", "", "HOST/app"},
        {"quay.io/a/b/c/d:v1.2-3_4", "quay.io", "a/b/c/d", "v1.2-3_4", "quay.io/a/b/c/d"},
        {"[::1]:5000/app:1", "[::1]:5000", "app", "1", "[::1]:5000/app"},
        {"a/b__c-d---e.f_g", "docker.io", "a/b__c-d---e.f_g", "", "a/b__c-d---e.f_g"},
        {"docker.io/a.b/c", "docker.io", "a.b/c", "", "docker.io/a.b/c"},
        {"app:UPPER", "docker.io", "library/app", "UPPER", "app"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const ImageReference reference(row.text);
        CHECK(reference.text() == row.text);
        CHECK(reference.domain() == row.domain);
        CHECK(reference.path() == row.path);
        CHECK(reference.tag() == row.tag);
        CHECK(reference.familiar_repository() == row.familiar);
        CHECK(reference.digest().empty());
    }
}

TEST_CASE("a tag beside a digest is kept and the digest decides") {
    const ImageReference reference("127.0.0.1:5000/team/app:2@" + digest);
    CHECK(reference.tag() == "2");
    CHECK(reference.digest() == digest);
    CHECK(reference.manifest() == digest);
    CHECK(reference.engine_name() == "127.0.0.1:5000/team/app@" + digest);
    CHECK(reference.last_part() == "app");

    const ImageReference bare("app@" + digest);
    CHECK(bare.tag().empty());
    CHECK_FALSE(bare.same_as(ImageReference("app:latest@" + digest)));
}

TEST_CASE("what is left out has its usual meaning") {
    const ImageReference reference("debian");
    CHECK(reference.tag_or_latest() == "latest");
    CHECK(reference.manifest() == "latest");
    CHECK(reference.engine_name() == "debian:latest");
    CHECK(reference.same_as(ImageReference("docker.io/library/debian:latest")));
    CHECK(reference.same_as(ImageReference("registry-1.docker.io/library/debian")));
    CHECK_FALSE(reference.same_as(ImageReference("debian:12")));
    CHECK_FALSE(reference.same_as(ImageReference("quay.io/library/debian")));
    CHECK_FALSE(reference.same_as(ImageReference("debian@" + digest)));
}

TEST_CASE("texts that are not references are refused with the reason") {
    CHECK(is_refused("", "empty"));
    CHECK(is_refused("App", "lower case"));
    CHECK(is_refused("team/App:1", "lower case"));
    CHECK(is_refused("HOST/App", "lower case"));
    CHECK(is_refused("app:", "tag"));
    CHECK(is_refused("app:-x", "tag"));
    CHECK(is_refused("app:1:2", "tag"));
    CHECK(is_refused("app@sha256:12", "'@'"));
    CHECK(is_refused("app@" + digest + "0", "'@'"));
    CHECK(is_refused("app@md5:0123456789abcdef0123456789abcdef", "'@'"));
    CHECK(is_refused("@" + digest));
    CHECK(is_refused("/app"));
    CHECK(is_refused("app/"));
    CHECK(is_refused("a//b"));
    CHECK(is_refused("a___b"));
    CHECK(is_refused("a..b"));
    CHECK(is_refused("a._b"));
    CHECK(is_refused("-app"));
    CHECK(is_refused("app-"));
    CHECK(is_refused("a b"));
    CHECK(is_refused("a\nb"));
    CHECK(is_refused("../a"));
    CHECK(is_refused("host:port/app", "registry"));
    CHECK(is_refused("-a.b/app", "registry"));
    CHECK(is_refused("a.-b/app", "registry"));
    CHECK(is_refused("a..b/app", "registry"));
    CHECK(is_refused("[::1/app", "registry"));
    CHECK(is_refused("https://host/app"));
    CHECK(is_refused(digest.substr(7), "id"));
    CHECK(is_refused("a.b/" + std::string(252, 'a'), "255"));
    CHECK(is_refused("app:" + std::string(129, 'a'), "tag"));
    CHECK(ImageReference("a.b/" + std::string(251, 'a')).repository().size() == 255);
    CHECK(ImageReference("app:" + std::string(128, 'a')).tag().size() == 128);
    CHECK(refusal("a\033[31m").find('\033') == std::string::npos);
}
