#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "archive/digest.hpp"
#include "backup/age_key.hpp"
#include "backup/tar.hpp"
#include "backup_fixture.hpp"
#include "fakes/nasty_tree.hpp"
#include "fakes/tree_listing.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

void compare(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(before[i] == after[i]);
    }
}

}  // namespace

TEST_CASE("a nasty tree comes back as it was") {
    const ScratchDirectory scratch;
    const std::string source = scratch.make("source");
    const std::string target = scratch.make("target");
    make_nasty_tree(source);
    const auto before = tree_listing(source, {.holes = true});
    CHECK(before.size() > 3000);
    BackupJob job = job_of(source);
    OpenKey key;
    SUBCASE("without a key, one worker") {
        job.workers = 1;
    }
    SUBCASE("without a key, four workers") {
        job.workers = 4;
    }
    SUBCASE("with a password and level 1") {
        job.key.password = Secret("pass");
        job.key.work_factor = 4;
        job.level = 1;
        key.password = Secret("pass");
    }
    SUBCASE("with recipients and level 6") {
        const AgeKeyPair first = make_age_key_pair("now");
        const AgeKeyPair second = make_age_key_pair("now");
        job.key.recipients = {first.recipient, second.recipient};
        job.level = 6;
        key.identity_file = scratch / "identity";
        create_file(key.identity_file, second.identity_file);
    }
    const std::string bytes = backup_bytes(job);
    compare(before, tree_listing(source, {.holes = true}));
    const RestoreResult extracted = extract_bytes(bytes, into(target), key);
    compare(before, tree_listing(target, {.holes = true}));
    const RestoreResult verified = verify_bytes(bytes, key);
    CHECK(verified.files == extracted.files);
    CHECK(verified.original_bytes == extracted.original_bytes);
    CHECK(extracted.files > 3000);
}

TEST_CASE("files of every size come back to a disk and to memory") {
    // Larger ones are written past the page cache, where the file system can do that. One in memory
    // cannot.
    const ScratchDirectory scratch;
    const ScratchDirectory memory("/dev/shm");
    const std::string source = scratch.make("source");
    for (const std::size_t size : {0, 1, 65535, 65536, 65537, 1'000'000, 1'048'576, 1'048'577}) {
        std::string content(size, '\0');
        for (std::size_t i = 0; i < size; ++i) {
            content[i] = static_cast<char>(i * i >> 7U);
        }
        create_file(source + "/" + std::to_string(size), content);
    }
    const auto before = tree_listing(source);
    const std::string bytes = backup_bytes(job_of(source));
    for (const std::string& target : {scratch.make("target"), memory.make("target")}) {
        extract_bytes(bytes, into(target));
        compare(before, tree_listing(target));
    }
}

TEST_CASE("a directory that two threads fill has the times that it had") {
    const ScratchDirectory scratch;
    const std::string source = scratch.make("source/one/of/many");
    for (int number = 0; number < 2000; ++number) {
        create_file(fmt::format("{}/{}", source, number), "content");
    }
    const auto before = tree_listing(scratch / "source");
    extract_bytes(backup_bytes(job_of(scratch / "source")), into(scratch.make("target")));
    compare(before, tree_listing(scratch / "target"));
}

TEST_CASE("a hard link comes back that waits while its directory is closed to save it") {
    const ScratchDirectory scratch;
    const std::string source = scratch.make("source");
    create_file(source + "/1", "content");
    REQUIRE(link((source + "/1").c_str(), (source + "/2").c_str()) == 0);
    std::string deep = "source/3";
    for (int level = 0; level < 100; ++level) {
        deep += "/d";
    }
    create_file(scratch.make(deep) + "/file", "deep");
    const auto before = tree_listing(source);
    extract_bytes(backup_bytes(job_of(source)), into(scratch.make("target")));
    compare(before, tree_listing(scratch / "target"));
}

TEST_CASE("a header holds sizes and ids that no octal field does") {
    for (const std::uint64_t size : {077777777777ULL, 0100000000000ULL, 9'000'000'000ULL,
                                     static_cast<unsigned long long>(INT64_MAX)}) {
        TarEntry entry;
        entry.path = "large";
        entry.size = size;
        entry.uid = 4'294'967'294U;
        entry.gid = 02'000'000;
        entry.mtime_seconds = -1;
        entry.mtime_nanoseconds = 1;
        const std::string header = encode_tar_header(entry);
        bool given = false;
        TarReader reader(
            [&]() -> Bytes { return std::exchange(given, true) ? Bytes() : as_bytes(header); });
        const std::optional<TarEntry> read = reader.next();
        REQUIRE(read);
        CHECK(read->size == size);
        CHECK(read->uid == entry.uid);
        CHECK(read->gid == entry.gid);
        CHECK(read->mtime_seconds == -1);
        CHECK(read->mtime_nanoseconds == 1);
    }
}

TEST_CASE("a backup's header comes back, and says what it is made of") {
    const ScratchDirectory scratch;
    const BackupJob job = job_of(scratch.make("source"));
    const FileDescriptor fd = reading(backup_bytes(job));
    const auto reader = open_backup(fd.get(), {});
    const BackupHeader& header = reader->header();
    CHECK(header.service == "blog");
    CHECK(header.created_at == job.header.created_at);
    CHECK(header.drunner_version == "0.1.0");
    CHECK(header.image_reference == "team/blog:2");
    CHECK(header.image_digest == "sha256:aa");
    CHECK(header.image_id == "sha256:bb");
    CHECK(header.settings == job.header.settings);
    CHECK(header.secrets_left_out == job.header.secrets_left_out);
    REQUIRE(header.volumes.size() == 1);
    CHECK(header.volumes[0].path == "/data");
    CHECK(header.volumes[0].name == "drunner-blog-data");
    CHECK(header.volumes[0].driver == "local");
    CHECK(header.volumes[0].labels == job.header.volumes[0].labels);
    CHECK(header.volumes[0].options == job.header.volumes[0].options);
}

TEST_CASE("secrets are written with a key only, and come back byte for byte") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    const std::string bytes("\0any\xff\n", 6);
    job.header.secrets = {{"key", Secret(bytes)}, {"long", Secret(std::string(100'000, 'x'))}};
    CHECK(error_of([&] { backup_bytes(job); }) ==
          "usage: secrets are not written into a backup without a key");
    job.key.password = Secret("pass");
    job.key.work_factor = 1;
    const FileDescriptor fd = reading(backup_bytes(job));
    OpenKey key;
    key.password = Secret("pass");
    const auto reader = open_backup(fd.get(), key);
    const auto& secrets = reader->header().secrets;
    REQUIRE(secrets.size() == 2);
    CHECK(secrets.at("key").reveal() == bytes);
    CHECK(secrets.at("long").reveal() == std::string(100'000, 'x'));
}

TEST_CASE("scripts, the hook's directory and several volumes go where they are told") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("one"));
    create_file(scratch / "one/a", "1");
    BackupVolume second = job.header.volumes[0];
    second.path = "/data/nested";
    second.source = scratch.make("two");
    create_file(scratch / "two/a", "2");
    job.header.volumes.push_back(second);
    job.scripts_directory = scratch.make("scripts");
    create_file(scratch / "scripts/servicerunner", "#!", 0755);
    job.hook_directory = scratch.make("hook");
    create_file(scratch / "hook/dump", "sql");
    const std::string bytes = backup_bytes(job);

    RestoreTargets targets;
    targets.volumes["/data/nested"] = scratch.make("out/two");
    targets.hook_directory = scratch.make("out/hook");
    targets.scripts_directory = scratch.make("out/scripts");
    const RestoreResult result = extract_bytes(bytes, targets);
    CHECK(result.files == 4);
    CHECK(read_file(scratch / "out/two/a") == "2");
    CHECK(read_file(scratch / "out/hook/dump") == "sql");
    CHECK(read_file(scratch / "out/scripts/servicerunner") == "#!");

    std::vector<std::string> members;
    SilentProgress progress;
    const FileDescriptor fd = reading(bytes);
    open_backup(fd.get(), {})
        ->verify(
            [&](const BackupReader::Member& member) {
                members.push_back(member.volume + "|" + member.name + "|" + member.type);
            },
            progress);
    CHECK(members == std::vector<std::string>{"||dir", "|servicerunner|file", "||dir", "|dump|file",
                                              "/data||dir", "/data|a|file", "/data/nested||dir",
                                              "/data/nested|a|file"});
}

TEST_CASE("excluded files are left out") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    for (const char* name : {"cache/x", "keep/cache2", "keep/a.tmp", "b.tmp", "logs/1", "keep/b"}) {
        make_directories(parent_of(scratch / (std::string("source/") + name)));
        create_file(scratch / (std::string("source/") + name), "x");
    }
    job.header.excludes = {"cache", "*.tmp", "/data/logs/*"};
    job.header.after = {"db"};
    const std::string bytes = backup_bytes(job);
    const FileDescriptor archive = reading(bytes);
    CHECK(open_backup(archive.get(), {})->header().after == job.header.after);
    extract_bytes(bytes, into(scratch.make("target")));
    CHECK(directory_entries(scratch / "target") == std::vector<std::string>{"keep", "logs"});
    CHECK(directory_entries(scratch / "target/keep") == std::vector<std::string>{"b", "cache2"});
    CHECK(directory_entries(scratch / "target/logs").empty());
}

TEST_CASE("sockets are skipped and named, devices are kept and left out at restore") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (scratch / "source/socket").copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    close(fd);
    REQUIRE(mknod((scratch / "source/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    REQUIRE(link((scratch / "source/null").c_str(), (scratch / "source/again").c_str()) == 0);
    SilentProgress progress;
    std::string bytes;
    const BackupResult result = write_backup(
        job, [&](Bytes part) { bytes += as_text(part); }, progress);
    CHECK(result.skipped == std::vector<std::string>{"volumes/1/socket"});
    const FileDescriptor archive = reading(bytes);
    open_backup(archive.get(), {})->extract(into(scratch.make("target")), progress);
    CHECK(directory_entries(scratch / "target").empty());
    REQUIRE(progress.warnings.size() == 2);
    std::sort(progress.warnings.begin(), progress.warnings.end());
    CHECK(progress.warnings[0].find("'volumes/1/again' is a device") == 0);
    CHECK(progress.warnings[1].find("'volumes/1/null' is a device") == 0);
}

TEST_CASE("the result counts and sums what was written") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    create_file(scratch / "source/a", std::string(5000, 'a'));
    SilentProgress progress;
    std::string bytes;
    SUBCASE("plain") {}
    SUBCASE("encrypted") {
        job.key.password = Secret("x");
        job.key.work_factor = 2;
    }
    const auto sink = [&](Bytes part) { bytes += as_text(part); };
    CHECK(write_backup(job, sink, progress).sha256.empty());
    bytes.clear();
    job.want_sha256 = true;
    const BackupResult result = write_backup(job, sink, progress);
    CHECK(result.files == 1);
    CHECK(result.original_bytes > 5000);
    CHECK(result.written_bytes == bytes.size());
    CHECK(result.sha256 == sha256_hex(as_bytes(bytes)));
}

TEST_CASE("an error of the sink ends the backup") {
    const ScratchDirectory scratch;
    const BackupJob job = job_of(scratch.make("source"));
    for (int i = 0; i < 40; ++i) {
        create_file(scratch / ("source/" + std::to_string(i)), std::string(1U << 20U, 'x'));
    }
    SilentProgress progress;
    int calls = 0;
    CHECK_THROWS_WITH(write_backup(
                          job,
                          [&](Bytes) {
                              if (++calls == 3) {
                                  throw Error(ErrorKind::no_space, "full");
                              }
                          },
                          progress),
                      "full");
}

TEST_CASE("a volume that is not there is an error that names it") {
    const ScratchDirectory scratch;
    CHECK(error_of([&] {
              backup_bytes(job_of(scratch / "absent"));
          }).find("system: cannot read '" + (scratch / "absent")) == 0);
}
