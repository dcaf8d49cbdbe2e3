#include "service/image_user.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"

using namespace drunner;

namespace {

constexpr const char* passwd =
    "# people\n\nroot:x:0:0:root:/root:/bin/sh\ndruser:x:22022:22021:d:/:/bin/sh\n"
    "toor:x:0:0::/:\nbroken:x:abc:def::/:\n22:x:0:0::/:\nhuge:x:4294967296:1::/:\nshort:x\n";
constexpr const char* group = "root:x:0:\ndrgroup:x:33:\n\nbroken:x:y:\n";

std::string resolved(std::string_view user) {
    try {
        const ImageUser found = resolve_image_user(
            user, [] { return std::optional<std::string>(passwd); },
            [] { return std::optional<std::string>(group); });
        return std::to_string(found.uid) + ":" + std::to_string(found.gid);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::image_refused);
        return error.what();
    }
}

bool refused(std::string_view user, std::string_view why) {
    const std::string message = resolved(user);
    CAPTURE(message);
    CHECK(message.find(why) != std::string::npos);
    return message.find(why) != std::string::npos;
}

}  // namespace

TEST_CASE("every form of USER") {
    CHECK(resolved("druser") == "22022:22021");
    CHECK(resolved("22022") == "22022:22021");
    CHECK(resolved("1000") == "1000:0");
    CHECK(resolved("+1000") == "1000:0");
    CHECK(resolved("1000:1001") == "1000:1001");
    CHECK(resolved("druser:drgroup") == "22022:33");
    CHECK(resolved("1000:drgroup") == "1000:33");
    CHECK(resolved("druser:44") == "22022:44");
    CHECK(resolved("druser:") == "22022:22021");
}

TEST_CASE("root is refused, however it is written") {
    CHECK(refused("", "no USER"));
    CHECK(refused(" ", "no USER"));
    for (const char* root :
         {"root", "0", "00", "+0", "-0", "0:1000", "toor", "root:drgroup", ":33"}) {
        CAPTURE(root);
        CHECK(refused(root, "is root"));
    }
    // The engine takes a number for a uid even where a user has that number for a name.
    CHECK(resolved("22") == "22:0");
}

TEST_CASE("what cannot be resolved is refused") {
    CHECK(refused("nobody-here", "not in the image's own /etc/passwd"));
    CHECK(refused("druser:nogroup", "not in the image's own /etc/group"));
    CHECK(refused("broken", "malformed"));
    CHECK(refused("druser:broken", "malformed"));
    CHECK(refused("short", "not in the image's own /etc/passwd"));
    CHECK(refused("huge", "an id that is not"));
    CHECK(refused("-5", "an id that is not"));
    CHECK(refused("4294967296", "an id that is not"));
    CHECK(refused("99999999999999999999999", "an id that is not"));
    CHECK(refused("1000:-1", "an id that is not"));
    CHECK(refused("a\x1b[2J", "a\\x1b[2J"));
}

TEST_CASE("files are read only where they are needed, and need not exist") {
    int asked = 0;
    const auto absent = [&] {
        ++asked;
        return std::optional<std::string>();
    };
    CHECK(resolve_image_user("1000:1001", absent, absent).gid == 1001);
    CHECK(asked == 0);
    CHECK(resolve_image_user("1000", absent, absent).gid == 0);
    CHECK(asked == 1);
    CHECK_THROWS_AS(resolve_image_user("druser", absent, absent), Error);
}
