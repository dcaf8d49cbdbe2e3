#include "archive/image_files.hpp"

#include <doctest/doctest.h>

#include <string>

#include "core/error.hpp"
#include "fakes/tar_text.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

const std::string root_member = tar_member({.name = "drunner/", .type = '5', .mode = 0755});

ImageFiles read_files(const std::string& tar, ImageFilesLimits limits = {}) {
    ImageFilesReader reader("drunner", limits);
    // As a stream brings it: in parts that end anywhere.
    for (std::size_t at = 0; at < tar.size(); at += 700) {
        reader.write(as_bytes(std::string_view(tar).substr(at, 700)));
    }
    return reader.finish();
}

// The message of the refusal of root + member.
std::string refusal(const std::string& members, ImageFilesLimits limits = {}) {
    try {
        read_files(root_member + members + tar_end(), limits);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::image_refused);
        return error.what();
    }
    return "accepted";
}

bool mentions(const std::string& text, std::string_view word) {
    return text.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("an image's files are read with their content and modes") {
    const std::string long_name = "drunner/" + std::string(150, 'n');
    const ImageFiles files = read_files(
        root_member + tar_member({.name = "drunner/servicerunner", .content = "#!", .mode = 0755}) +
        tar_member({.name = "drunner/sub", .type = '5'}) +
        tar_member({.name = "drunner/sub/data", .content = std::string("\0\1", 2), .mode = 0444}) +
        pax_member(pax_record("path", long_name)) + tar_member({.name = "x", .content = "long"}) +
        pax_member(pax_record("path", "drunner/gr\xc3\xbc\xc3\x9f")) +
        tar_member({.name = "x", .content = "utf"}) + tar_end());
    CHECK(files.size() == 4);
    CHECK(files.at("servicerunner").content == "#!");
    CHECK(files.at("servicerunner").executable);
    CHECK(files.at("sub/data").content == std::string("\0\1", 2));
    CHECK_FALSE(files.at("sub/data").executable);
    CHECK(files.at(std::string(150, 'n')).content == "long");
    CHECK(files.at("gr\xc3\xbc\xc3\x9f").content == "utf");
}

TEST_CASE("an image's files are refused by what they are") {
    struct Case {
        TarMember member;
        const char* word;
    };
    const Case cases[] = {
        {{.name = "drunner/l", .type = '2', .link = "/etc/passwd"}, "symbolic link"},
        {{.name = "drunner/h", .type = '1', .link = "drunner/x"}, "hard link"},
        {{.name = "drunner/c", .type = '3'}, "a device"},
        {{.name = "drunner/b", .type = '4'}, "a device"},
        {{.name = "drunner/p", .type = '6'}, "a fifo"},
        {{.name = "drunner/s", .mode = 04755}, "set-id"},
        {{.name = "drunner/s", .mode = 02755}, "set-id"},
        {{.name = "drunner/d/", .type = '5', .mode = 02755}, "set-id"},
        {{.name = "/drunner/a"}, "absolute"},
        {{.name = "drunner/../a"}, "'..'"},
        {{.name = "drunner/./a"}, "'..'"},
        {{.name = "drunner//a"}, "'..'"},
        {{.name = ".."}, "'..'"},
        {{.name = "drunner/a\nb"}, "control character"},
        {{.name = "drunner/a\x7f"}, "control character"},
        {{.name = "other/a"}, "outside"},
        {{.name = "drunnerx/a"}, "outside"},
        {{.name = "drunner", .type = '5'}, "twice"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.member.name);
        const std::string message = refusal(tar_member(c.member));
        CHECK(mentions(message, c.word));
        if (c.member.name != "..") {
            CHECK(mentions(message, "drunner"));
        }
    }
}

TEST_CASE("an image's files are refused by what they are together") {
    const std::string file = tar_member({.name = "drunner/a", .content = "1"});
    CHECK(mentions(refusal(file + file), "twice"));
    CHECK(mentions(refusal(file + tar_member({.name = "drunner/a/b"})), "below a file"));
    CHECK(mentions(refusal(tar_member({.name = "drunner/a/b"}) + file), "below a file"));
}

TEST_CASE("the root of an image's files must be a directory") {
    CHECK_THROWS_WITH(read_files(tar_member({.name = "drunner"}) + tar_end()),
                      "the image's '/drunner' is not a directory");
    CHECK_THROWS_WITH(read_files(tar_member({.name = "drunner", .type = '2', .link = "x"})),
                      "the image's file 'drunner' is a symbolic link");
    CHECK_THROWS_WITH(read_files(tar_end()), "the image has no directory '/drunner'");
    CHECK_THROWS_AS(read_files("this is no tar archive at all"), Error);
    CHECK_THROWS_AS(read_files(""), Error);
}

TEST_CASE("limits of an image's files") {
    const std::string ten = tar_member({.name = "drunner/a", .content = "0123456789"});
    CHECK(refusal(ten, {.total_bytes = 10, .files = 2}) == "accepted");
    CHECK(mentions(refusal(ten, {.total_bytes = 9, .files = 2}), "more than 9 B"));
    CHECK(mentions(refusal(ten + tar_member({.name = "drunner/b"}), {.files = 2}), "2 files"));
    // A sparse member claims its size without sending it.
    const std::string sparse =
        pax_member(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                   pax_record("GNU.sparse.name", "drunner/big") +
                   pax_record("GNU.sparse.realsize", "99999999"));
    std::string map = "1\n0\n1\n";
    map.resize(512, '\0');
    CHECK(mentions(refusal(sparse + tar_member({.name = "drunner/big", .content = map + "x"}),
                           {.total_bytes = 1000}),
                   "more than"));
    // Over the limit, the stream is stopped while it comes.
    ImageFilesReader reader("drunner", {.total_bytes = 1000, .files = 1});
    const std::string zeros(1U << 20U, '\0');
    CHECK_THROWS_AS(
        {
            reader.write(as_bytes(zeros));
            reader.write(as_bytes(zeros));
        },
        Error);
}

TEST_CASE("a cut tar archive of an image is refused") {
    const std::string tar = root_member + tar_member({.name = "drunner/a", .content = "content"});
    for (const std::size_t size : {600U, 1025U, 1030U}) {
        CAPTURE(size);
        CHECK_THROWS_AS(read_files(tar.substr(0, size)), Error);
    }
}

TEST_CASE("a single file of an image") {
    const std::string file = tar_member({.name = "passwd", .content = "root:x:0:0"});
    CHECK(single_file(as_bytes(file + tar_end()), 100) == "root:x:0:0");
    CHECK(single_file(as_bytes(file + tar_end()), 10) == "root:x:0:0");
    CHECK_THROWS_AS(single_file(as_bytes(file + tar_end()), 9), Error);
    CHECK_THROWS_AS(single_file(as_bytes(file + file + tar_end()), 100), Error);
    CHECK_THROWS_AS(single_file(as_bytes(tar_end()), 100), Error);
    const std::string link = tar_member({.name = "passwd", .type = '2', .link = "/etc/shadow"});
    CHECK_THROWS_AS(single_file(as_bytes(link + tar_end()), 100), Error);
}
