#include "archive/digest.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "core/error.hpp"
#include "host/file.hpp"

using namespace drunner;

TEST_CASE("SHA-256 gives the published values") {
    CHECK(sha256_hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex(as_bytes("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("SHA-256 of parts is that of the whole") {
    Sha256 digest;
    digest.update(as_bytes("a"));
    digest.update({});
    Sha256 moved(std::move(digest));
    moved.update(as_bytes("bc"));
    CHECK(moved.hex_so_far() == sha256_hex(as_bytes("abc")));
    CHECK(moved.hex() == sha256_hex(as_bytes("abc")));
}

TEST_CASE("SHA-256 of a file that is longer than one read") {
    const std::string path = "/tmp/drunner-digest-" + random_id();
    const std::string content(700'001, 'x');
    create_file(path, content);
    CHECK(sha256_of_file(path) == sha256_hex(as_bytes(content)));
    unlink(path.c_str());
    CHECK_THROWS_AS(sha256_of_file(path), Error);
}
