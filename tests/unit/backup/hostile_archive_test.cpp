#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <functional>

#include "backup/backup_stream.hpp"
#include "backup_fixture.hpp"
#include "fakes/tree_listing.hpp"
#include "hand_made_backup.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

std::string member(const TarMember& m) {
    return tar_member(m);
}

std::string extended(const std::string& records, const std::string& next) {
    return pax_member(records) + next;
}

std::string sparse(const std::string& map, const std::string& size,
                   const std::string& name = "volumes/1/s") {
    std::string padded = map;
    padded.resize((map.size() + 511) / 512 * 512, '\0');
    return pax_member(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                      pax_record("GNU.sparse.name", name) +
                      pax_record("GNU.sparse.realsize", size)) +
           tar_member({.name = "volumes/1/s", .content = padded});
}

// What the archive could have reached: everything below the directory but the targets.
std::vector<std::string> surroundings(const std::string& directory) {
    std::vector<std::string> lines = tree_listing(directory);
    std::erase_if(lines, [](const std::string& line) {
        return line.starts_with("./a/b/target") || line.starts_with("./a/b/hook");
    });
    return lines;
}

// The error of extracting, with nothing changed around the targets.
std::string extraction_error(const std::string& bytes) {
    const ScratchDirectory scratch;
    RestoreTargets targets = into(scratch.make("a/b/target"));
    targets.hook_directory = scratch.make("a/b/hook");
    create_file(scratch / "a/b/x", "beside");
    create_file(scratch / "x", "above");
    const auto before = surroundings(scratch.path());
    const std::string error = error_of([&] { extract_bytes(bytes, targets); });
    CHECK(surroundings(scratch.path()) == before);
    return error;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
}

// A file system of its own, small, for as long as this object lives.
class SmallFileSystem {
  public:
    SmallFileSystem(std::string path, const std::string& options) : path_(std::move(path)) {
        REQUIRE(mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0);
    }
    ~SmallFileSystem() { umount2(path_.c_str(), MNT_DETACH); }
    SmallFileSystem(const SmallFileSystem&) = delete;
    SmallFileSystem& operator=(const SmallFileSystem&) = delete;

    struct statvfs state() const {
        struct statvfs status {};
        REQUIRE(statvfs(path_.c_str(), &status) == 0);
        return status;
    }

  private:
    std::string path_;
};

}  // namespace

TEST_CASE("hostile archives are refused, and nothing leaves the target") {
    const std::string file = member({.name = "volumes/1/a", .content = "1"});
    const std::string directory = member({.name = "volumes/1/d/", .type = '5', .mode = 0755});
    const std::string link = member({.name = "volumes/1/l", .type = '2', .link = "/tmp"});
    const std::string hook = member({.name = "drunner/hook/", .type = '5', .mode = 0700});
    std::string bad_sum = file;
    bad_sum[0] = 'w';
    struct Case {
        const char* what;
        std::string members;
    };
    const Case cases[] = {
        {"absolute path", root + member({.name = "/tmp/x"})},
        {"path out of the volume", root + member({.name = "volumes/1/../../x"})},
        {"dots alone", root + member({.name = "volumes/1/.."})},
        {"dot", root + member({.name = "volumes/1/."})},
        {"empty part", root + member({.name = "volumes/1//x"})},
        {"empty name", root + member({.name = ""})},
        {"path in a pax header that leaves",
         root + extended(pax_record("path", "volumes/1/../x"), member({.name = "y"}))},
        {"path with a NUL", root + extended(pax_record("path", std::string("volumes/1/a\0b", 13)),
                                            member({.name = "y"}))},
        {"name that is too long",
         root + extended(pax_record("path", "volumes/1/" + std::string(256, 'n')),
                         member({.name = "y"}))},
        {"path that is too long",
         root + extended(pax_record("path", "volumes/1/" + std::string(140'000, 'n')),
                         member({.name = "y"}))},
        {"file outside of any volume", member({.name = "volumes/1/a"})},
        {"unknown volume", member({.name = "volumes/2/", .type = '5'})},
        {"volume that is a file", member({.name = "volumes/1"})},
        {"volume that is a link", member({.name = "volumes/1", .type = '2', .link = "/tmp"})},
        {"volume twice", root + file + root},
        {"hook after a volume", root + hook},
        {"write through a link", root + link + member({.name = "volumes/1/l/x"})},
        {"write through a file", root + file + member({.name = "volumes/1/a/x"})},
        {"same file twice", root + file + file},
        {"same directory twice", root + directory + directory},
        {"link, then file of its name", root + link + member({.name = "volumes/1/l"})},
        {"file in a directory that does not come first", root + member({.name = "volumes/1/n/x"})},
        {"file in a directory that is complete",
         root + directory + file + member({.name = "volumes/1/d/x"})},
        {"hard link to an absolute path",
         root + member({.name = "volumes/1/h", .type = '1', .link = "/etc/passwd"})},
        {"hard link out of the volume",
         root + member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/../../etc/passwd"})},
        {"hard link to another tree",
         hook + root + member({.name = "volumes/1/h", .type = '1', .link = "drunner/hook/x"})},
        {"hard link to what is not there",
         root + member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/none"})},
        {"hard link through a link",
         root + link + member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/l/x"})},
        {"hard link to a directory",
         root + directory + member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/d"})},
        {"hard link with content",
         root + file +
             member({.name = "volumes/1/h", .type = '1', .content = "x", .link = "volumes/1/a"})},
        {"absolute link in the hook's directory",
         hook + member({.name = "drunner/hook/l", .type = '2', .link = "/etc/shadow"})},
        {"link out of the hook's directory",
         hook + member({.name = "drunner/hook/l", .type = '2', .link = "../x"})},
        {"link that goes up after a name",
         hook + member({.name = "drunner/hook/l", .type = '2', .link = "up/../.."})},
        {"contiguous file", root + member({.name = "volumes/1/a", .type = '7'})},
        {"GNU long name", root + member({.name = "././@LongLink", .type = 'L', .content = "x"})},
        {"global pax header", root + pax_member(pax_record("path", "x"), 'g') + file},
        {"old sparse file", root + member({.name = "volumes/1/a", .type = 'S'})},
        {"sparse file in an old form", root + extended(pax_record("GNU.sparse.map", "0,1"), file)},
        {"wrong checksum", root + bad_sum},
        {"size that is no number", root + member({.name = "volumes/1/a", .size = "zzzzzzzzzzz"})},
        {"size in base 256",
         root + member({.name = "volumes/1/a", .size = "\x80\1\1\1\1\1\1\1\1\1\1\1"})},
        {"size larger than the file",
         root + member({.name = "volumes/1/a", .size = "00077777777"})},
        {"size over all limits", root + extended(pax_record("size", "18446744073709551615"), file)},
        {"pax header that is huge",
         root + member({.name = "x", .type = 'x', .size = "77777777777"})},
        {"pax header twice",
         root + pax_member(pax_record("mtime", "1")) + pax_member(pax_record("mtime", "1")) + file},
        {"pax header without a member", root + pax_member(pax_record("mtime", "1")) + tar_end()},
        {"pax record twice",
         root + extended(pax_record("mtime", "1") + pax_record("mtime", "2"), file)},
        {"pax record too long", root + extended("99 a=b\n", file)},
        {"pax record of length 0", root + extended("0 a=b\n", file)},
        {"pax record without a line feed", root + extended("6 a=bc", file)},
        {"pax record without an equals sign", root + extended("6 abc\n", file)},
        {"pax record without a length", root + extended(" a=b\n", file)},
        {"owner out of range", root + extended(pax_record("uid", "4294967296"), file)},
        {"time out of range", root + extended(pax_record("mtime", "99999999999999999999"), file)},
        {"malformed ACL", root + extended(pax_record("SCHILY.acl.access", "user::rwz"), file)},
        {"map of a sparse file that is none", root + sparse("x\n", "10")},
        {"map without numbers", root + sparse("", "10")},
        {"map with too many extents", root + sparse("99999999\n", "10")},
        {"map that overlaps", root + sparse("2\n0\n5\n4\n5\n", "10")},
        {"map beyond the size", root + sparse("1\n0\n11\n", "10")},
        {"map beyond all numbers", root + sparse("1\n18446744073709551615\n2\n", "10")},
        {"map without its content", root + sparse("1\n0\n5\n", "10")},
        {"sparse file that is too large", root + sparse("0\n", "18446744073709551615")},
        {"sparse file whose name leaves", root + sparse("0\n", "10", "volumes/1/../../x")},
        {"sparse file whose name is absolute", root + sparse("0\n", "10", "/tmp/x")},
        {"map that goes back", root + sparse("2\n5\n1\n0\n1\n", "10")},
        {"map with a negative number", root + sparse("1\n-1\n5\n", "10")},
        {"map with fewer numbers than it says", root + sparse("3\n0\n0\n", "10")},
        {"map with a longer number than there is",
         root + sparse("1\n" + std::string(600, '0') + "\n5\n", "10")},
        {"map of more than a million extents", root + sparse("1048577\n", "10")},
        {"size that is negative", root + member({.name = "volumes/1/a", .size = "-0000000001"})},
        {"size in two parts", root + member({.name = "volumes/1/a", .size = "0000 000001"})},
        {"negative size in a pax header", root + extended(pax_record("size", "-1"), file)},
        {"directory with content",
         root + member({.name = "volumes/1/d/", .type = '5', .content = "x"})},
        {"owner that chown takes for none", root + extended(pax_record("uid", "4294967295"), file)},
        {"group that chown takes for none", root + extended(pax_record("gid", "4294967295"), file)},
        {"time that is no number", root + extended(pax_record("mtime", "1.x"), file)},
        {"symbolic link to nothing", root + member({.name = "volumes/1/l", .type = '2'})},
        {"symbolic link that is too long",
         root + extended(pax_record("linkpath", std::string(4096, 't')), link)},
        {"symbolic link with a NUL",
         root + extended(pax_record("linkpath", std::string("a\0b", 3)), link)},
        {"hard link to nothing", root + member({.name = "volumes/1/h", .type = '1'})},
        {"hard link to its own volume",
         root + member({.name = "volumes/1/h", .type = '1', .link = "volumes/1/"})},
        {"attribute without a name", root + extended(pax_record("SCHILY.xattr.", "v"), file)},
        {"attribute with a NUL in its name",
         root + extended(pax_record(std::string("SCHILY.xattr.user.a\0b", 21), "v"), file)},
        {"attribute with a name that is too long",
         root + extended(pax_record("SCHILY.xattr.user." + std::string(255, 'n'), "v"), file)},
        {"attribute that is too long",
         root + extended(pax_record("SCHILY.xattr.user.n", std::string(65537, 'v')), file)},
        {"capability that is malformed",
         root + extended(pax_record("SCHILY.xattr.security.capability", "x"), file)},
        {"ACL without its owner",
         root + extended(pax_record("SCHILY.acl.access", "user:5:rwx\n"), file)},
        {"pax header of 4 MiB and a byte",
         root + extended(pax_record("x", std::string((4U << 20U) - 10, 'x')), file)},
        {"path whose prefix leaves", root +
                                         [&] {
                                             std::string up = tar_header({.name = "x"});
                                             up.replace(345, 14, "volumes/1/../..");
                                             return with_checksum(up);
                                         }()},
        {"text instead of a tar archive", root + std::string(1024, 'x')},
        {"another compression", root + compressed(file) + std::string(1024, '\0')},
        {"gzip", root + "\x1f\x8b\x08" + std::string(1021, '\0')},
        {"something after the archive's end", root + tar_end() + file},
        {"header twice", root + json_member(header_member, header_json())},
    };
    for (const Case& c : cases) {
        CAPTURE(std::string(c.what));
        const std::string error = extraction_error(hand_made(c.members));
        CAPTURE(error);
        CHECK(error.starts_with("archive-"));
        // It is the member that is refused, not what the test made of the rest.
        CHECK(error.find("closing member") == std::string::npos);
        CHECK(error.find("trailer") == std::string::npos);
    }
    // What the cases are built from is a backup.
    const ScratchDirectory scratch;
    CHECK(error_of([&] {
              extract_bytes(hand_made(root + file + link + directory), into(scratch.make("t")));
          }) == "no error");
    CHECK(directory_entries(scratch / "t") == std::vector<std::string>{"a", "d", "l"});
}

TEST_CASE("a closing member that does not fit is damage") {
    const std::string file = member({.name = "volumes/1/a", .content = "12345"});
    const std::string whole = hand_made(root + file);
    REQUIRE(error_of([&] { verify_bytes(whole); }) == "no error");
    BackupClosing right;
    right.members = 3;
    right.content_bytes = header_json().size() + 5;
    right.headers_sha256 = sha256_hex(as_bytes(
        tar_header({.name = std::string(header_member), .content = header_json(), .mode = 0600}) +
        root + tar_header({.name = "volumes/1/a", .content = "12345"})));
    const auto with_closing = [&](const std::string& closing) {
        return with_trailer(compressed(json_member(header_member, header_json()) + root + file +
                                       closing + tar_end()));
    };
    const auto closing_of = [](const std::string& json) {
        return json_member(closing_member, json);
    };
    REQUIRE(with_closing(closing_of(to_json(right))) == whole);
    const auto changed = [&](const std::function<void(BackupClosing&)>& change) {
        BackupClosing closing = right;
        change(closing);
        return closing_of(to_json(closing));
    };
    const auto worded = [&](const std::string& from, const std::string& to) {
        std::string json = to_json(right);
        replace(json, from, to);
        return closing_of(json);
    };
    struct Case {
        const char* what;
        std::string closing;
    };
    const Case cases[] = {
        {"none", ""},
        {"empty", closing_of("")},
        {"no object", closing_of("[]")},
        {"without fields", closing_of("{}")},
        {"a member less", changed([](BackupClosing& c) { --c.members; })},
        {"a member more", changed([](BackupClosing& c) { ++c.members; })},
        {"a byte less", changed([](BackupClosing& c) { --c.content_bytes; })},
        {"a byte more", changed([](BackupClosing& c) { ++c.content_bytes; })},
        {"another sum", changed([](BackupClosing& c) { c.headers_sha256.back() ^= 1; })},
        {"no sum", changed([](BackupClosing& c) { c.headers_sha256.clear(); })},
        {"members beyond all integers", worded(": 3", ": 18446744073709551619")},
        {"members as a fraction", worded(": 3", ": 3.0")},
        {"members negative", worded(": 3", ": -18446744073709551613")},
        {"a directory", member({.name = std::string(closing_member) + "/", .type = '5'})},
        {"a link", member({.name = std::string(closing_member), .type = '2', .link = "x"})},
        {"a member after it", closing_of(to_json(right)) + member({.name = "volumes/1/b"})},
        {"itself after it", closing_of(to_json(right)) + closing_of(to_json(right))},
        {"larger than it may be", closing_of(to_json(right) + std::string(17U << 20U, ' '))},
    };
    for (const Case& c : cases) {
        CAPTURE(std::string(c.what));
        CHECK(extraction_error(with_closing(c.closing)).starts_with("archive-damaged"));
    }
    CHECK(extraction_error(with_closing("")).find("closing member is missing") !=
          std::string::npos);
}

TEST_CASE("headers that are malformed are refused") {
    REQUIRE(error_of([&] { verify_bytes(hand_made(root)); }) == "no error");
    const auto worded = [](const std::string& from, const std::string& to) {
        std::string json = header_json();
        replace(json, from, to);
        return json;
    };
    const auto volumes = [](int count, bool same) {
        BackupHeader header = job_of("").header;
        for (int i = 1; i < count; ++i) {
            header.volumes.push_back(header.volumes.front());
            header.volumes.back().path += same ? "" : std::to_string(i);
        }
        return to_json(header);
    };
    struct Case {
        const char* what;
        std::string json;
    };
    const Case cases[] = {
        {"empty", ""},
        {"not ended", "{"},
        {"an array", "[]"},
        {"no fields", "{}"},
        {"text", "\"x\""},
        {"format as text", worded("\"format\": 1", "\"format\": \"1\"")},
        {"format as a fraction", worded("\"format\": 1", "\"format\": 1e300")},
        {"reader as a fraction", worded("\"minimum_reader\": 1", "\"minimum_reader\": 1e300")},
        {"reader negative", worded("\"minimum_reader\": 1", "\"minimum_reader\": -1")},
        {"reader that is 1 in 32 bits",
         worded("\"minimum_reader\": 1", "\"minimum_reader\": 4294967297")},
        {"volumes as a number", "{\"format\": 1, \"minimum_reader\": 1, \"volumes\": 3}"},
        {"a volume in another's place", worded("\"volumes/1\"", "\"volumes/2\"")},
        {"a volume outside", worded("\"volumes/1\"", "\"../1\"")},
        {"a label that is a number",
         worded("\"drunner.service\": \"blog\"", "\"drunner.service\": 5")},
        {"a volume twice", volumes(2, true)},
        {"more volumes than a service may have", volumes(65, false)},
        {"two documents", header_json() + header_json()},
        {"a NUL", header_json() + std::string(1, '\0')},
        {"no UTF-8", worded("\"blog\"", "\"bl\xffog\"")},
        {"deep", worded("\"settings\": {", "\"deep\": " + std::string(1U << 20U, '[') +
                                               std::string(1U << 20U, ']') + ", \"settings\": {")},
        {"deep without an end", std::string(8U << 20U, '[')},
        {"deep objects",
         [] {
             std::string text;
             for (int i = 0; i < 500'000; ++i) {
                 text += "{\"a\":";
             }
             return text;
         }()},
        {"larger than it may be", header_json() + std::string(17U << 20U, ' ')},
    };
    for (const Case& c : cases) {
        CAPTURE(std::string(c.what));
        const std::string error = error_of([&] { verify_bytes(hand_made(root, c.json)); });
        CAPTURE(error);
        CHECK(error.starts_with("archive-"));
        CHECK(error.find("closing member") == std::string::npos);
    }
    CHECK(error_of([&] { verify_bytes(hand_made(root, volumes(64, false))); }) == "no error");
    // Brackets in names are no depth.
    const std::string brackets =
        worded("\"PORT\": \"80\"",
               "\"" + std::string(100, '[') + "\": \"\\\"" + std::string(100, '{') + "\"");
    CHECK(error_of([&] { verify_bytes(hand_made(root, brackets)); }) == "no error");
}

TEST_CASE("frames that are malformed are damage") {
    const std::string body = json_member(header_member, header_json()) + root;
    const std::string whole = hand_made("");
    const std::string frames = whole.substr(0, whole.size() - trailer_size);
    const std::string trailer = whole.substr(frames.size());
    const auto skippable = [](std::uint32_t size, const std::string& content) {
        std::string frame("\x50\x2a\x4d\x18", 4);
        for (unsigned i = 0; i < 4; ++i) {
            frame += static_cast<char>(size >> 8U * i & 0xffU);
        }
        return frame + content;
    };
    REQUIRE(error_of([&] { verify_bytes(with_trailer(skippable(3, "abc") + frames)); }) ==
            "no error");
    const auto wide_window = [](const std::string& text) {
        const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                              ZSTD_freeCCtx);
        ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 28);
        std::string frame(ZSTD_compressBound(text.size()) + 100, '\0');
        ZSTD_inBuffer input{text.data(), text.size(), 0};
        ZSTD_outBuffer output{frame.data(), frame.size(), 0};
        // Flushed before its end, so that the frame cannot say its size.
        ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_flush);
        ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_end);
        return frame.substr(0, output.pos);
    };
    struct Case {
        const char* what;
        std::string bytes;
    };
    const Case cases[] = {
        {"trailer twice", whole + trailer},
        {"trailer alone", trailer},
        {"trailer of another file",
         hand_made(root).substr(0, hand_made(root).size() - 40) + trailer},
        {"trailer that is longer",
         frames + "\x5d\x2a\x4d\x18\x21" + std::string(3, '\0') + trailer.substr(8) + "x"},
        {"a frame after the trailer", whole + skippable(0, "")},
        {"zeros after the trailer", whole + std::string(512, '\0')},
        {"a frame of random bytes", with_trailer(frames + "random bytes, no frame at all")},
        {"skippable frame without its content", with_trailer(skippable(0xffffffffU, "x"))},
        {"window over 128 MiB", with_trailer(wide_window(body))},
        {"half a frame", with_trailer(frames.substr(0, frames.size() / 2))},
        {"a frame inside a frame", with_trailer(compressed(frames))},
    };
    for (const Case& c : cases) {
        CAPTURE(std::string(c.what));
        CHECK(error_of([&] { verify_bytes(c.bytes); }).starts_with("archive-damaged"));
    }
}

TEST_CASE("directories without end are read in little memory, or refused") {
    std::string members = root;
    std::string path = "volumes/1";
    SUBCASE("levels") {
        const ScratchDirectory scratch;
        for (int i = 0; i < 3000; ++i) {
            path += "/d";
            members += pax_member(pax_record("path", path + "/")) +
                       member({.name = "d/", .type = '5', .mode = 0755});
        }
        extract_bytes(hand_made(members), into(scratch.make("target")));
        BackupJob job = job_of(scratch / "target");
        CHECK(error_of([&] { verify_bytes(backup_bytes(job)); }) == "no error");
        CHECK(remove_tree(scratch / "target"));
        CHECK_FALSE(exists(scratch / "target"));
    }
    SUBCASE("attributes") {
        std::string records;
        for (int i = 0; i < 60; ++i) {
            records +=
                pax_record("SCHILY.xattr.user.n" + std::to_string(i), std::string(65536, 'v'));
        }
        for (int i = 0; i < 20; ++i) {
            path += "/d";
            members += pax_member(records + pax_record("path", path + "/")) +
                       member({.name = "d/", .type = '5', .mode = 0755});
        }
        const std::string error = error_of([&] { verify_bytes(hand_made(members)); });
        CHECK(error.starts_with("archive-refused: the directories around 'volumes/1/d"));
    }
}

TEST_CASE("a bomb does not fill the file system") {
    const ScratchDirectory scratch;
    const std::string target = scratch.make("target");
    std::string members = root;
    SUBCASE("of bytes, in one file") {
        const SmallFileSystem small(target, "size=16m");
        members += member({.name = "volumes/1/zeros", .content = std::string(64U << 20U, '\0')});
        const std::string bomb = hand_made(members);
        CHECK(bomb.size() < 20'000);
        CHECK(error_of([&] { extract_bytes(bomb, into(target)); }).starts_with("no-space"));
        CHECK(error_of([&] { verify_bytes(bomb); }) == "no error");
    }
    SUBCASE("of bytes, in many files") {
        const SmallFileSystem small(target, "size=64m");
        for (int i = 0; i < 150; ++i) {
            members += member({.name = "volumes/1/" + std::to_string(i),
                               .content = std::string(512U << 10U, '\0')});
        }
        CHECK(error_of([&] {
                  extract_bytes(hand_made(members), into(target));
              }).starts_with("no-space"));
        CHECK(small.state().f_bavail > 0);
    }
    SUBCASE("of entries") {
        const SmallFileSystem small(target, "size=64m,nr_inodes=40000");
        for (int i = 0; i < 60'000; ++i) {
            members += member({.name = "volumes/1/" + std::to_string(i)});
        }
        CHECK(error_of([&] {
                  extract_bytes(hand_made(members), into(target));
              }).starts_with("no-space"));
        CHECK(small.state().f_favail > 0);
    }
}
