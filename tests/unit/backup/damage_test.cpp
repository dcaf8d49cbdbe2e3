#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zstd.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "archive/digest.hpp"
#include "backup/age_key.hpp"
#include "backup/backup_header.hpp"
#include "backup/backup_stream.hpp"
#include "backup/tar.hpp"
#include "backup_fixture.hpp"
#include "fakes/tar_text.hpp"
#include "fakes/tree_listing.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

std::string compressed(const std::string& tar) {
    std::string frame(ZSTD_compressBound(tar.size()), '\0');
    frame.resize(ZSTD_compress(frame.data(), frame.size(), tar.data(), tar.size(), 1));
    return frame;
}

std::string with_trailer(const std::string& frames) {
    std::string all = frames + std::string("\x5d\x2a\x4d\x18\x20\0\0\0", 8);
    const std::string sum = sha256_hex(as_bytes(frames));
    for (std::size_t i = 0; i < sum.size(); i += 2) {
        all += static_cast<char>(std::stoi(sum.substr(i, 2), nullptr, 16));
    }
    return all;
}

std::string json_member(std::string_view name, const std::string& json) {
    return tar_member({.name = std::string(name), .content = json, .mode = 0600});
}

std::string header_json() {
    return to_json(job_of("").header);
}

// A whole backup, right in everything but the members that are given: even its closing member fits.
std::string hand_made(const std::string& members, const std::string& header = header_json()) {
    const std::string body = json_member(header_member, header) + members;
    BackupClosing closing;
    bool given = false;
    TarReader reader(
        [&]() -> Bytes { return std::exchange(given, true) ? Bytes() : as_bytes(body); });
    try {
        while (const auto entry = reader.next()) {
            ++closing.members;
            closing.content_bytes += stored_size(*entry);
        }
    } catch (const Error&) {
        // There is no end yet, and some members cannot even be read.
    }
    closing.headers_sha256 = reader.headers_sha256();
    return with_trailer(
        compressed(body + json_member(closing_member, to_json(closing)) + tar_end()));
}

const std::string root = tar_member({.name = "volumes/1/", .type = '5', .mode = 0755});

}  // namespace

TEST_CASE("every changed bit and every truncation of a backup is an error") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 40; ++i) {
        std::string content(random() % 3000, '\0');
        for (char& c : content) {
            c = static_cast<char>('a' + random() % 20);
        }
        create_file(scratch / fmt::format("source/{}", i), content);
    }
    OpenKey key;
    SUBCASE("plain") {}
    SUBCASE("for a recipient") {
        const AgeKeyPair pair = make_age_key_pair("now");
        job.key.recipients = {pair.recipient};
        key.identity_file = scratch / "identity";
        create_file(key.identity_file, pair.identity_file);
    }
    const std::string bytes = backup_bytes(job);
    CHECK(error_of([&] { verify_bytes(bytes, key); }) == "no error");
    for (int i = 0; i < 300; ++i) {
        std::string changed = bytes;
        const std::size_t at = random() % changed.size();
        CAPTURE(at);
        changed[at] = static_cast<char>(changed[at] ^ (1 << random() % 8));
        CHECK(error_of([&] { verify_bytes(changed, key); }) != "no error");
    }
    for (int i = 0; i < 100; ++i) {
        const std::size_t size =
            i < 50 ? bytes.size() - 1 - static_cast<std::size_t>(i) : random() % bytes.size();
        CAPTURE(size);
        CHECK(error_of([&] {
                  verify_bytes(bytes.substr(0, size), key);
              }).starts_with("archive-damaged"));
    }
    CHECK(error_of([&] { verify_bytes(bytes + "x", key); }).starts_with("archive-damaged"));
    CHECK(error_of([&] { verify_bytes(bytes + bytes, key); }).starts_with("archive-damaged"));
}

TEST_CASE("keys and files that do not fit each other") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    const std::string plain = backup_bytes(job);
    job.key.password = Secret("right");
    job.key.work_factor = 2;
    const std::string sealed = backup_bytes(job);
    OpenKey right;
    right.password = Secret("right");
    OpenKey wrong;
    wrong.password = Secret("wrong");
    CHECK(error_of([&] { verify_bytes(sealed, right); }) == "no error");
    CHECK(error_of([&] { verify_bytes(sealed, wrong); }).starts_with("wrong-password"));
    CHECK(error_of([&] { verify_bytes(sealed); }).starts_with("wrong-password"));
    CHECK(error_of([&] { verify_bytes(plain, right); }).starts_with("wrong-password"));
    right.allow_plain = true;
    CHECK(error_of([&] { verify_bytes(plain, right); }) == "no error");
    job.key.recipients = {make_age_key_pair("now").recipient};
    CHECK(error_of([&] { backup_bytes(job); }).starts_with("usage"));
    job.key.password = Secret();
    job.key.recipients = {"age1nonsense"};
    CHECK(error_of([&] { backup_bytes(job); }).starts_with("usage"));
}

TEST_CASE("what is no backup is said to be none") {
    for (const std::string& bytes :
         {std::string(), std::string("x"), std::string(100'000, '\0'),
          std::string("7z\xbc\xaf'\x1c"), compressed("no tar"), with_trailer(""),
          with_trailer(compressed(tar_end())), with_trailer(compressed(root + tar_end()))}) {
        CHECK(error_of([&] { verify_bytes(bytes); }).starts_with("archive-damaged"));
    }
    CHECK(error_of([&] {
              verify_bytes("-----BEGIN AGE ENCRYPTED FILE-----\n");
          }).starts_with("archive-refused"));
}

TEST_CASE("a newer format is refused with both versions") {
    std::string header = header_json();
    const std::string field = "\"minimum_reader\": 1";
    header.replace(header.find(field), field.size(), "\"minimum_reader\": 7");
    const std::string error = error_of([&] { verify_bytes(hand_made("", header)); });
    CHECK(error.starts_with("archive-refused"));
    CHECK(error.find("needs a drunner that reads format 7") != std::string::npos);
    CHECK(error.find("up to format 1") != std::string::npos);
}

TEST_CASE("a backup that stock tools compressed again needs --no-trailer") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    create_file(scratch / "source/a", "1");
    const std::string bytes = backup_bytes(job);
    OpenKey lenient;
    lenient.require_trailer = false;
    const std::string bare = bytes.substr(0, bytes.size() - trailer_size);
    CHECK(error_of([&] { verify_bytes(bare); }).find("trailer is missing") != std::string::npos);
    CHECK(error_of([&] { verify_bytes(bare, lenient); }) == "no error");
    CHECK(error_of([&] { verify_bytes(bytes, lenient); }) == "no error");
    std::string wrong = bytes;
    wrong.back() = static_cast<char>(wrong.back() ^ 1);
    CHECK(error_of([&] { verify_bytes(wrong, lenient); }).starts_with("archive-damaged"));
}

TEST_CASE("hostile archives are refused, and nothing leaves the target") {
    const auto member = [](TarMember m) { return tar_member(m); };
    const std::string file = member({.name = "volumes/1/a", .content = "1"});
    const std::string directory = member({.name = "volumes/1/d/", .type = '5', .mode = 0755});
    const std::string link = member({.name = "volumes/1/l", .type = '2', .link = "/tmp"});
    const std::string hook = member({.name = "drunner/hook/", .type = '5', .mode = 0700});
    const auto extended = [](const std::string& records, const std::string& next) {
        return pax_member(records) + next;
    };
    const auto sparse = [](const std::string& map, const std::string& size) {
        std::string padded = map;
        padded.resize((map.size() + 511) / 512 * 512, '\0');
        return pax_member(pax_record("GNU.sparse.major", "1") +
                          pax_record("GNU.sparse.minor", "0") +
                          pax_record("GNU.sparse.name", "volumes/1/s") +
                          pax_record("GNU.sparse.realsize", size)) +
               tar_member({.name = "volumes/1/s", .content = padded});
    };
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
        {"something after the archive's end", root + tar_end() + file},
        {"header twice", root + json_member(header_member, header_json())},
    };
    for (const Case& c : cases) {
        CAPTURE(c.what);
        const ScratchDirectory scratch;
        const std::string bytes = hand_made(c.members);
        RestoreTargets targets = into(scratch.make("target"));
        targets.hook_directory = scratch.make("hook");
        const auto outside = directory_entries(scratch.path());
        const std::string error = error_of([&] { extract_bytes(bytes, targets); });
        CHECK(error.starts_with("archive-"));
        CHECK(directory_entries(scratch.path()) == outside);
    }
    // What the cases are built from is a backup.
    const ScratchDirectory scratch;
    CHECK(error_of([&] {
              extract_bytes(hand_made(root + file + link + directory), into(scratch.make("t")));
          }) == "no error");
    CHECK(directory_entries(scratch / "t") == std::vector<std::string>{"a", "d", "l"});
}

TEST_CASE("a closing member that does not fit is damage") {
    const auto with_closing = [](const std::string& json) {
        return with_trailer(compressed(json_member(header_member, header_json()) + root +
                                       json_member(closing_member, json) + tar_end()));
    };
    for (const char* json :
         {"", "[]", "{}", "{\"members\": 2, \"content_bytes\": 0, \"headers_sha256\": \"\"}"}) {
        CHECK(error_of([&] { verify_bytes(with_closing(json)); }).starts_with("archive-damaged"));
    }
    const std::string none =
        with_trailer(compressed(json_member(header_member, header_json()) + root + tar_end()));
    CHECK(error_of([&] { verify_bytes(none); }).find("closing member is missing") !=
          std::string::npos);
}

TEST_CASE("headers that are malformed are damage") {
    for (const char* json : {"", "{", "[]", "{}", "{\"format\": \"1\"}", "\"x\"",
                             "{\"format\": 1, \"minimum_reader\": 1, \"volumes\": 3}"}) {
        CHECK(error_of([&] { verify_bytes(hand_made("", json)); }).starts_with("archive-damaged"));
    }
}

TEST_CASE("a file that shrinks or grows while it is read") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    job.workers = 1;
    const std::string path = scratch / "source/changing";
    const std::size_t size = 500'000;
    create_file(path, std::string(size, 'x'));
    SilentProgress progress;
    std::string bytes;
    int reads = 0;
    std::function<void()> change = [] {};
    const auto write = [&] {
        return write_backup_reading(
            job, [&](Bytes part) { bytes += as_text(part); }, progress,
            [&](int fd, std::byte* buffer, std::size_t wanted, off_t offset) {
                ++reads;
                change();
                return pread(fd, buffer, wanted, offset);
            });
    };
    SUBCASE("once shorter: read again") {
        change = [&] {
            if (reads == 1) {
                REQUIRE(truncate(path.c_str(), 100) == 0);
            }
        };
        const BackupResult result = write();
        CHECK(result.vanished.empty());
        extract_bytes(bytes, into(scratch.make("target")));
        CHECK(read_file(scratch / "target/changing") == std::string(100, 'x'));
    }
    SUBCASE("shorter every time: an error") {
        off_t length = static_cast<off_t>(size);
        change = [&] {
            length /= 2;
            REQUIRE(truncate(path.c_str(), length) == 0);
        };
        const std::string error = error_of(write);
        CHECK(error.starts_with("in-use: 'volumes/1/changing' became shorter 3 times"));
    }
    SUBCASE("longer: as long as it was, and named") {
        change = [&] {
            if (reads == 1) {
                REQUIRE(truncate(path.c_str(), static_cast<off_t>(size) + 100) == 0);
            }
        };
        const BackupResult result = write();
        CHECK(result.vanished == std::vector<std::string>{"volumes/1/changing"});
        extract_bytes(bytes, into(scratch.make("target")));
        CHECK(read_file(scratch / "target/changing") == std::string(size, 'x'));
    }
}

TEST_CASE("a large file that shrinks is an error, one that grows is cut") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    const std::string path = scratch / "source/large";
    const std::size_t size = 3'000'000;
    create_file(path, std::string(size, 'x'));
    SilentProgress progress;
    std::string bytes;
    std::atomic<int> reads = 0;
    off_t length = 0;
    const auto write = [&] {
        return write_backup_reading(
            job, [&](Bytes part) { bytes += as_text(part); }, progress,
            [&](int fd, std::byte* buffer, std::size_t wanted, off_t offset) {
                if (++reads == 1) {
                    CHECK(truncate(path.c_str(), length) == 0);
                }
                return pread(fd, buffer, wanted, offset);
            });
    };
    SUBCASE("shrinks") {
        length = 10;
        CHECK(error_of(write).starts_with("in-use: 'volumes/1/large' became shorter"));
    }
    SUBCASE("grows") {
        length = 4'000'000;
        CHECK(write().vanished == std::vector<std::string>{"volumes/1/large"});
        extract_bytes(bytes, into(scratch.make("target")));
        CHECK((read_file(scratch / "target/large") == std::string(size, 'x')));
    }
}

TEST_CASE("a backup is read from a pipe") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    create_file(scratch / "source/a", std::string(300'000, 'a'));
    const std::string bytes = backup_bytes(job);
    int ends[2] = {-1, -1};
    REQUIRE(pipe(ends) == 0);
    FileDescriptor reading_end(ends[0]);
    FileDescriptor writing_end(ends[1]);
    std::thread writer([&] {
        for (std::size_t at = 0; at < bytes.size();) {
            const ssize_t done = write(writing_end.get(), bytes.data() + at,
                                       std::min<std::size_t>(100, bytes.size() - at));
            if (done <= 0) {
                break;
            }
            at += static_cast<std::size_t>(done);
        }
        writing_end.reset();
    });
    SilentProgress progress;
    open_backup(reading_end.get(), {})->extract(into(scratch.make("target")), progress);
    writer.join();
    CHECK(read_file(scratch / "target/a") == std::string(300'000, 'a'));
}
