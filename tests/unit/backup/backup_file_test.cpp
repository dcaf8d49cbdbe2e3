#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "archive/digest.hpp"
#include "backup_fixture.hpp"

using namespace drunner;
using namespace drunner::test;

TEST_CASE("a backup file appears whole, private and only once") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    job.want_sha256 = true;
    create_file(scratch / "source/a", std::string(100'000, 'a'));
    SilentProgress progress;
    const std::string path = scratch.make("out") + "/b.tar.zst";
    const BackupResult result = write_backup_file(job, path, progress);
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
    CHECK(static_cast<std::uint64_t>(status.st_size) == result.written_bytes);
    CHECK(sha256_of_file(path) == result.sha256);
    CHECK(directory_entries(scratch / "out") == std::vector<std::string>{"b.tar.zst"});
    CHECK(error_of([&] { write_backup_file(job, path, progress); }).starts_with("file-exists"));
    CHECK(sha256_of_file(path) == result.sha256);
}

TEST_CASE("a backup that fails leaves nothing") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch / "absent");
    scratch.make("out");
    SilentProgress progress;
    CHECK(error_of([&] {
              write_backup_file(job, scratch / "out/b", progress);
          }).starts_with("system: cannot read"));
    CHECK(directory_entries(scratch / "out").empty());
    CHECK(error_of([&] {
              write_backup_file(job, scratch / "none/b", progress);
          }).starts_with("system: cannot write"));
}

TEST_CASE("a full file system ends backup and restore with no-space") {
    const ScratchDirectory scratch;
    BackupJob job = job_of(scratch.make("source"));
    std::string noise(6U << 20U, '\0');
    unsigned state = 1;
    for (char& c : noise) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24U);
    }
    create_file(scratch / "source/noise", noise);
    for (int i = 0; i < 20; ++i) {
        create_file(scratch / ("source/" + std::to_string(i)), noise.substr(0, 200'000));
    }
    const std::string small = scratch.make("small");
    if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m") != 0) {
        MESSAGE("cannot mount a small file system here");
        return;
    }
    SilentProgress progress;
    const std::string writing = error_of([&] { write_backup_file(job, small + "/b", progress); });
    const auto left = directory_entries(small);
    const std::string restoring = error_of([&] { extract_bytes(backup_bytes(job), into(small)); });
    CHECK(umount2(small.c_str(), MNT_DETACH) == 0);
    CHECK(writing.starts_with("no-space: cannot write '" + small + "/b'"));
    CHECK(left.empty());
    CHECK(restoring.starts_with("no-space: cannot write below '"));
    CHECK(restoring.ends_with(": no space would be left there"));
}
