#include "core/unified_diff.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "host/file.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

TEST_CASE("the same text has no diff") {
    CHECK(unified_diff("", "").empty());
    CHECK(unified_diff("a\nb\n", "a\nb\n").empty());
}

TEST_CASE("a changed line stands between its context") {
    CHECK(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
          "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("a new text and a text that is gone") {
    CHECK(unified_diff("", "a\nb\n") == "@@ -0,0 +1,2 @@\n+a\n+b\n");
    CHECK(unified_diff("a\nb\n", "") == "@@ -1,2 +0,0 @@\n-a\n-b\n");
}

TEST_CASE("a line feed that is missing at the end is a difference") {
    CHECK(unified_diff("a\n", "a") == "@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file\n");
}

TEST_CASE("changes far from each other have hunks of their own, near ones share one") {
    const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
    CHECK(unified_diff(before, "x\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\ny\n") ==
          "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -9,4 +9,4 @@\n 9\n 10\n 11\n-12\n+y\n");
    CHECK(unified_diff(before, "x\n2\n3\n4\n5\n6\n7\ny\n9\n10\n11\n12\n") ==
          "@@ -1,11 +1,11 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n 9\n 10\n 11\n");
}

TEST_CASE("what patch makes of a diff is the other text") {
    const Scratch scratch;
    std::mt19937 random(7);
    const auto text_of = [&](std::size_t lines) {
        std::string text;
        for (std::size_t i = 0; i < lines; ++i) {
            text += std::to_string(random() % 6) + "\n";
        }
        if (!text.empty() && random() % 2 == 0) {
            text.pop_back();
        }
        return text;
    };
    for (int round = 0; round < 40; ++round) {
        const std::string before = text_of(1 + random() % 30);
        // Every tenth pair is too large for the search and becomes one hunk.
        const std::string after = round % 10 == 9 ? text_of(6'000) : text_of(1 + random() % 30);
        const std::string long_before = round % 10 == 9 ? text_of(6'000) : before;
        if (long_before == after) {
            continue;
        }
        write_file(scratch.path() + "/t", long_before);
        write_file(scratch.path() + "/d", "--- t\n+++ t\n" + unified_diff(long_before, after));
        REQUIRE(std::system(("cd '" + scratch.path() + "' && patch -s t d >/dev/null").c_str()) ==
                0);
        CHECK(read_file(scratch.path() + "/t") == after);
    }
}
