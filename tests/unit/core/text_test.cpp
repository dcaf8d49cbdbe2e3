#include "core/text.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "core/service_name.hpp"

namespace drunner::test {

TEST_CASE("what a stranger wrote cannot steer a terminal") {
    CHECK(printable("plain text, 'quotes'") == "plain text, 'quotes'");
    CHECK(printable("caf\xc3\xa9") == "caf\xc3\xa9");
    CHECK(printable("\x1b[31mred\n") == "\\x1b[31mred\\x0a");
    CHECK(printable("\xff\xc3") == "\\xff\\xc3");
    CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");           // overlong
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate
    CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");           // C1: CSI
    CHECK(printable("a\xe2\x80\xae"
                    "b") ==
          "a\\xe2\\x80\\xae"
          "b");  // right to left
}

TEST_CASE("names of services") {
    for (const char* good : {"a", "0", "blog", "my-blog.v2_x", "a23456789012345678901234567890"}) {
        CHECK(ServiceName::is_valid(good));
    }
    const std::string longest(63, 'a');
    CHECK(ServiceName::is_valid(longest));
    CHECK_FALSE(ServiceName::is_valid(longest + "a"));
    for (const char* bad :
         {"", "-x", ".x", "_x", "Blog", "a b", "../x", "a/b", "a\n", "caf\xc3\xa9"}) {
        CHECK_FALSE(ServiceName::is_valid(bad));
        CHECK_THROWS_AS(ServiceName{bad}, Error);
    }
}

TEST_CASE("the nearest word, where one is near enough") {
    const std::vector<std::string> words{"install", "update", "uninstall"};
    CHECK(nearest("instal", words) == "install");
    CHECK(nearest("updaet", words) == "update");
    CHECK(nearest("frobnicate", words).empty());
}

TEST_CASE("small things about text") {
    CHECK(split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
    CHECK(join({"a", "b"}, ", ") == "a, b");
    CHECK(trim(" \t a b \r\n") == "a b");
    CHECK(human_size(0) == "0 B");
    CHECK(human_size(1536) == "1.5 KiB");
    CHECK(human_size(5ULL << 30U) == "5.0 GiB");
}

TEST_CASE("errors nest and keep their kind and their way out") {
    const Error inner(ErrorKind::locked, "it is locked", "wait");
    const Error outer = inner.within("cannot update 'x'");
    CHECK(std::string(outer.what()) == "cannot update 'x': it is locked");
    CHECK(outer.kind() == ErrorKind::locked);
    CHECK(outer.next() == "wait");
    CHECK(kind_word(outer.kind()) == "locked");
    CHECK(is_retryable(outer.kind()));
    CHECK(system_error("cannot write 'f'", ENOSPC).kind() == ErrorKind::no_space);
}

}  // namespace drunner::test
