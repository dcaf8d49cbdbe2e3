#include "service/script_acceptance.hpp"

#include <doctest/doctest.h>

#include "archive/digest.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

std::string digest_of(std::string_view text) {
    return sha256_hex(as_bytes(text));
}

}  // namespace

TEST_CASE("the digest is that of what sha256sum prints, without drunner's own files") {
    const std::string a = digest_of("a");
    const std::string b = digest_of("b");
    CHECK(scripts_digest({{"servicerunner", a}, {"lib/x y", b}}) ==
          digest_of(b + "  lib/x y\n" + a + "  servicerunner\n"));
    CHECK(scripts_digest({{"servicerunner", a}, {"variables.sh", b}, {"utils.sh", b}}) ==
          digest_of(a + "  servicerunner\n"));
    CHECK(scripts_digest({{"lib/utils.sh", a}}) != scripts_digest({}));
    // As sha256sum does with such a name.
    CHECK(scripts_digest({{"a\\b", a}}) == digest_of("\\" + a + "  a\\\\b\n"));
}

TEST_CASE("what was accepted stays accepted, also behind a line that a power cut left unfinished") {
    const Scratch scratch;
    const Paths paths(scratch.path());
    const ScriptAcceptances acceptances(paths);
    CHECK(acceptances.all().empty());
    const ScriptAcceptance first{"2026-01-02T03:04:05Z",
                                 "blog",
                                 digest_of("1"),
                                 {0, "alice"},
                                 {{"servicerunner", digest_of("x")}}};
    const ScriptAcceptance second{"2026-01-02T03:04:06Z", "shop", digest_of("2"), {1000, ""}, {}};
    acceptances.add(first);
    const std::string file = paths.accepted_scripts();
    write_file(file,
               read_file(file) + R"({"at":"2026-01-02T03:04:05Z","sha256":")" + digest_of("3"));
    acceptances.add(second);
    append_line(file, "[1]\nnull\n{}");
    CHECK(acceptances.all() == std::vector{first, second});
    CHECK(acceptances.contains(digest_of("1")));
    CHECK(acceptances.contains(digest_of("2")));
    CHECK_FALSE(acceptances.contains(digest_of("3")));
    CHECK_FALSE(acceptances.contains(""));
}
