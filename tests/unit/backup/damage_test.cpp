#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "backup/age_key.hpp"
#include "backup/backup_stream.hpp"
#include "backup_fixture.hpp"
#include "hand_made_backup.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

// A volume with every kind of member, in less than 200 KiB that take two frames and three chunks.
void make_small_tree(const ScratchDirectory& scratch) {
    const auto at = [&](const std::string& name) { return scratch / ("source/" + name); };
    scratch.make("source/directory/" + std::string(150, 'n'));
    create_file(at("directory/" + std::string(150, 'n') + "/" + std::string(120, 'm')), "long");
    create_file(at("file"), "content");
    REQUIRE(link(at("file").c_str(), at("hard link").c_str()) == 0);
    REQUIRE(symlink("file", at("link").c_str()) == 0);
    REQUIRE(mkfifo(at("fifo").c_str(), 0600) == 0);
    REQUIRE(setxattr(at("file").c_str(), "user.note", "value", 5, 0) == 0);
    create_file(at("sparse"), "start");
    REQUIRE(truncate(at("sparse").c_str(), 10'000'000) == 0);
    create_file(at("even"), std::string(3U << 20U, 'e'));
    std::mt19937 random(1);
    std::string noise(150'000, '\0');
    for (char& c : noise) {
        c = static_cast<char>(random() & 0xffU);
    }
    create_file(at("noise"), noise);
}

// A number in each of so many equal parts of the range, so that no region is left out.
std::vector<std::size_t> spread(std::size_t count, std::size_t range, std::mt19937& random) {
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t start = range * i / count;
        numbers.push_back(start + random() % (range * (i + 1) / count - start));
    }
    return numbers;
}

}  // namespace

TEST_CASE("a thousand changed bits and a thousand truncations, and each is seen") {
    const ScratchDirectory scratch;
    make_small_tree(scratch);
    BackupJob job = job_of(scratch / "source");
    job.scripts_directory = scratch.make("scripts");
    create_file(scratch / "scripts/servicerunner", "#!/bin/bash", 0755);
    job.hook_directory = scratch.make("hook");
    create_file(scratch / "hook/dump", "data");
    const unsigned seed = std::random_device{}();
    MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    OpenKey key;
    std::size_t header_size = 0;
    SUBCASE("plain") {}
    SUBCASE("for a recipient") {
        const AgeKeyPair pair = make_age_key_pair("now");
        job.key.recipients = {pair.recipient};
        key.identity_file = scratch / "identity";
        create_file(key.identity_file, pair.identity_file);
        header_size = 1;
    }
    const std::string bytes = backup_bytes(job);
    CHECK(bytes.size() < 200'000);
    if (header_size > 0) {
        header_size = bytes.find('\n', bytes.find("\n--- ") + 1) + 1;
    }
    const auto target = [&] { return std::pair(scratch / "target", into(scratch.make("target"))); };
    extract_bytes(bytes, target().second, key);
    remove_tree(scratch / "target");

    // Which key a file is for stands in its header; where that changed, nobody can tell a damaged
    // header from another key's.
    const auto is_seen = [&](const std::string& error, std::size_t at) {
        return error.starts_with("archive-damaged: ") ||
               (at < header_size && error.starts_with("wrong-password: ") &&
                error.find("or its header is damaged") != std::string::npos);
    };
    // Nor does a restore of it succeed; what it wrote is in its target, and can be removed.
    const auto fails_cleanly = [&](const std::string& damaged, std::size_t at) {
        const auto [directory, targets] = target();
        const bool seen =
            is_seen(error_of([&, &to = targets] { extract_bytes(damaged, to, key); }), at);
        return seen && remove_tree(directory) && !exists(directory);
    };
    std::vector<std::size_t> flips = spread(1000, bytes.size(), random);
    // The regions that are smaller than such a part: header, nonce, begin of the first frame, and
    // its end with the trailer.
    for (std::size_t i = 0; i < 300; ++i) {
        flips.push_back(i);
        flips.push_back(bytes.size() - 1 - i);
    }
    for (std::size_t i = 0; i < flips.size(); ++i) {
        const std::size_t at = flips[i];
        CAPTURE(at);
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
        CHECK(is_seen(error_of([&] { verify_bytes(damaged, key); }), at));
        if (i % 20 == 0) {
            CHECK(fails_cleanly(damaged, at));
        }
    }
    std::vector<std::size_t> sizes = spread(1000, bytes.size(), random);
    constexpr std::size_t sealed_chunk = 65536 + 16;
    for (std::size_t at = header_size + 16; at < bytes.size(); at += sealed_chunk) {
        sizes.push_back(at);
    }
    for (std::size_t i = 1; i < 100; ++i) {
        sizes.push_back(bytes.size() - i);
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const std::size_t size = sizes[i];
        CAPTURE(size);
        const std::string damaged = bytes.substr(0, size);
        CHECK(is_seen(error_of([&] { verify_bytes(damaged, key); }), 0));
        if (i % 20 == 0) {
            CHECK(fails_cleanly(damaged, 0));
        }
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
         {std::string(), std::string("x"), std::string(100'000, '\0'), std::string("7z\xbc\xaf'"),
          compressed("no tar"), with_trailer(""), with_trailer(compressed(tar_end())),
          with_trailer(compressed(root + tar_end()))}) {
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
