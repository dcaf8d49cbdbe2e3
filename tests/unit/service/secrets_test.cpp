#include "service/secrets.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.hpp"
#include "host/file.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a secret's name is a file's name and one for Swarm") {
    for (const char* good : {"key", "0", "daos_agent-certs.txz", "A.b-c_d"}) {
        CHECK(is_secret_name(good));
    }
    CHECK(is_secret_name(std::string(64, 'x')));
    for (const char* bad :
         {"", ".", "..", ".hidden", "-x", "_x", "a/b", "a b", "a\n", "\xc3\xbc"}) {
        CHECK_FALSE(is_secret_name(bad));
    }
    CHECK_FALSE(is_secret_name(std::string(65, 'x')));
}

TEST_CASE("the limits are told by what they are") {
    CHECK_THROWS_WITH(check_secrets({{"key", Secret("")}}), "the secret 'key' is empty");
    CHECK_NOTHROW(check_secrets({{"key", Secret(std::string(largest_secret, 'x'))}}));
    CHECK_THROWS_WITH(check_secrets({{"key", Secret(std::string(largest_secret + 1, 'x'))}}),
                      "the secret 'key' is larger than 512.0 KiB");
    Secrets many;
    for (std::size_t i = 0; i < most_secrets; ++i) {
        many.emplace("key" + std::to_string(i), Secret("x"));
    }
    CHECK_NOTHROW(check_secrets(many));
    many.emplace("one.more", Secret("x"));
    CHECK_THROWS_AS(check_secrets(many), Error);
    Secrets large;
    for (int i = 0; i < 17; ++i) {
        large.emplace("key" + std::to_string(i), Secret(std::string(largest_secret, 'x')));
    }
    CHECK_THROWS_AS(check_secrets(large), Error);
}

TEST_CASE("a new content comes with the files that are there for mounts, and nothing else") {
    const Scratch scratch;
    const SecretStore store(scratch.file("secrets"));
    CHECK(store.names().empty());
    store.write_beside(scratch.file("secrets/key"), "key", Secret("old"));
    CHECK(store.names() == Names{"key"});
    CHECK(store.find("key")->reveal() == "old");
    CHECK(store.facts("key")->size == 3);
    CHECK_FALSE(store.find("other"));
    for (const char* file : {"666-999-0440", "0-0-400", "notes", "1-2-x", "1-2-0400.77"}) {
        write_file(scratch.file("secrets/key/") + file, "old");
    }
    store.write_beside(scratch.file("beside"), "key", Secret("new"));
    CHECK(directory_entries(scratch.file("beside")) == Names{"0-0-400", "666-999-0440", "content"});
    struct stat status {};
    REQUIRE(lstat(scratch.file("beside/666-999-0440").c_str(), &status) == 0);
    CHECK(status.st_uid == 666);
    CHECK(status.st_gid == 999);
    CHECK((status.st_mode & 07777U) == 0440);
    CHECK(read_file(scratch.file("beside/666-999-0440")) == "new");
    REQUIRE(lstat(scratch.file("beside").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0700);
}

TEST_CASE("a service needs what it declares as required, and what it had") {
    const Scratch scratch;
    Manifest manifest{ServiceName("blog"), "id", "", "", "", 1, 0, {}, {}, {}, {}, {}, {"had"}};
    Release release;
    release.number = 1;
    release.config.secrets = {{"token", true, ""}, {"hint", false, ""}};
    manifest.releases.push_back(release);
    CHECK(required_secrets(manifest, manifest.release()) == Names{"had", "token"});
    const SecretStore store(scratch.file("secrets"));
    CHECK(missing_secrets(store, manifest) == Names{"had", "token"});
    store.write_beside(scratch.file("secrets/token"), "token", Secret("x"));
    CHECK(missing_secrets(store, manifest) == Names{"had"});
}
