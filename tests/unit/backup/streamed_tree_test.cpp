#include "backup/streamed_tree.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>

#include <array>
#include <memory>

#include "backup_fixture.hpp"
#include "fakes/nasty_tree.hpp"
#include "fakes/tar_text.hpp"
#include "fakes/tree_listing.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

// An engine's archive endpoint, played by GNU tar: DIRECTORY/0 is the volume.
VolumeStream tar_of(const std::string& directory) {
    return {
        "0",
        [directory](const ByteSink& sink) {
            const std::string command = fmt::format(
                "tar c --format=pax --sort=name --numeric-owner --xattrs --acls "
                "--xattrs-include=security.capability -C {} 0",
                directory);
            const std::unique_ptr<FILE, int (*)(FILE*)> tar(popen(command.c_str(), "r"), pclose);
            std::vector<std::byte> buffer(50'000);
            while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), tar.get())) {
                sink(Bytes(buffer).first(got));
            }
        },
        [directory](const ByteSource& source) {
            const std::string command =
                fmt::format("tar xp --numeric-owner --xattrs --xattrs-include=* -C {}", directory);
            const std::unique_ptr<FILE, int (*)(FILE*)> tar(popen(command.c_str(), "w"), pclose);
            std::vector<std::byte> buffer(50'000);
            while (const std::size_t got = source(buffer)) {
                fwrite(buffer.data(), 1, got, tar.get());
            }
        }};
}

BackupJob streamed_job(const VolumeStream& stream) {
    BackupJob job = job_of("");
    job.header.volumes.front().streamed = true;
    job.header.volumes.front().stream = stream;
    return job;
}

template <class Call>
std::string kind_of(const Call& call) {
    const std::string error = error_of(call);
    return error.substr(0, error.find(':'));
}

// A stream that says this.
VolumeStream text_stream(const std::string& text) {
    return {"0", [text](const ByteSink& sink) { sink(as_bytes(text)); }, {}};
}

std::string error_of_stream(const std::string& text, std::vector<std::string> excludes = {}) {
    return kind_of([&] {
        BackupJob job = streamed_job(text_stream(text));
        job.header.excludes = std::move(excludes);
        backup_bytes(job);
    });
}

std::string directory(const std::string& name) {
    return tar_member({.name = name, .type = '5'});
}

std::string file(const std::string& name, const std::string& content) {
    return tar_member({.name = name, .content = content});
}

}  // namespace

TEST_CASE("a tree that comes and goes as an engine's tar is the one that was there") {
    const ScratchDirectory scratch;
    make_directories(scratch / "in/0");
    make_directories(scratch / "out");
    // What GNU tar stands for here keeps links, fifos, odd names and ids, but not everything else
    // of a nasty tree.
    write_file(scratch / "in/0/plain", "content\n", 0640);
    write_file(scratch / "in/0/large", std::string(5'000'001, 'l'), 0600);
    write_file(scratch / "in/0/exactly", std::string(2 << 20, 'e'), 04755);
    make_directories(scratch / "in/0/a/b", 0711);
    write_file(scratch / "in/0/a/not \xff utf-8", "", 0444);
    write_file(scratch / "in/0/a.b", std::string(512, 'x'));
    REQUIRE(link((scratch / "in/0/plain").c_str(), (scratch / "in/0/a/b/again").c_str()) == 0);
    REQUIRE(symlink("/nowhere", (scratch / "in/0/link").c_str()) == 0);
    REQUIRE(mkfifo((scratch / "in/0/fifo").c_str(), 0640) == 0);
    REQUIRE(chown((scratch / "in/0/a/b").c_str(), 4'000'000'000U, 7) == 0);
    REQUIRE(chmod((scratch / "in/0").c_str(), 02750) == 0);

    const std::string bytes = backup_bytes(streamed_job(tar_of(scratch / "in")));
    const RestoreResult result = verify_bytes(bytes);
    CHECK(result.files == 5);
    // That of the header is counted too.
    CHECK(result.original_bytes > 8 + 5'000'001 + (2 << 20) + 512);

    // Into a directory, and back into a stream.
    scratch.make("directory");
    extract_bytes(bytes, into(scratch / "directory"));
    CHECK(tree_listing(scratch / "directory") == tree_listing(scratch / "in/0"));
    RestoreTargets targets;
    targets.streams["/data"] = tar_of(scratch / "out");
    extract_bytes(bytes, targets);
    CHECK(tree_listing(scratch / "out/0") == tree_listing(scratch / "in/0"));
}

TEST_CASE("a backup of a directory goes into a stream with its attributes and ACLs") {
    const ScratchDirectory scratch;
    scratch.make("source");
    make_nasty_tree(scratch / "source", 10);
    remove_tree(scratch / "source/sparse");  // without its holes 9 GB
    const std::string bytes = backup_bytes(job_of(scratch / "source"));
    RestoreTargets targets;
    make_directories(scratch / "out");
    targets.streams["/data"] = tar_of(scratch / "out");
    extract_bytes(bytes, targets);
    const auto before = tree_listing(scratch / "source");
    const auto after = tree_listing(scratch / "out/0");
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(before[i] == after[i]);
    }
}

TEST_CASE("patterns leave out of a stream what they leave out of a directory") {
    const std::string tar = directory("0/") + directory("0/cache/") + file("0/cache/a", "1") +
                            directory("0/cache/deep/") + file("0/cache/deep/b", "2") +
                            file("0/kept", "3") + file("0/x.tmp", "4") + tar_ending();
    BackupJob job = streamed_job(text_stream(tar));
    job.header.excludes = {"/data/cache", "*.tmp"};
    const std::string bytes = backup_bytes(job);
    std::string names;
    SilentProgress progress;
    const FileDescriptor fd = reading(bytes);
    open_backup(fd.get(), {})
        ->verify([&](const BackupReader::Member& member) { names += member.name + ","; }, progress);
    CHECK(names == ",kept,");
    const std::string linked = directory("0/") + file("0/x.tmp", "4") +
                               tar_member({.name = "0/y", .type = '1', .link = "0/x.tmp"}) +
                               tar_ending();
    CHECK(error_of_stream(linked) == "no error");
    CHECK(error_of_stream(linked, {"*.tmp"}) == "usage");
}

TEST_CASE("what is no whole tar of one directory is no backup") {
    CHECK(error_of_stream("") == "archive-damaged");
    CHECK(error_of_stream(tar_ending()) == "archive-damaged");
    CHECK(error_of_stream(directory("0/") + file("0/a", "1")) == "archive-damaged");
    const std::string whole = directory("0/") + file("0/a", std::string(2000, 'a')) + tar_ending();
    CHECK(error_of_stream(whole) == "no error");
    CHECK(error_of_stream(whole.substr(0, 1700)) == "archive-damaged");
    CHECK(error_of_stream(file("0/a", "1") + tar_ending()) == "archive-damaged");
    CHECK(error_of_stream(file("0", "1") + tar_ending()) == "archive-damaged");
    CHECK(error_of_stream(directory("0/") + file("1/a", "1") + tar_ending()) == "archive-damaged");
    CHECK(error_of_stream(directory("0/") + file("0/../a", "1") + tar_ending()) ==
          "archive-refused");
}

TEST_CASE("an engine that fails while it sends or takes a volume: its error, and no backup") {
    BackupJob job = streamed_job({"0",
                                  [](const ByteSink& sink) {
                                      sink(as_bytes(directory("0/")));
                                      throw Error(ErrorKind::engine_unreachable, "it went away");
                                  },
                                  {}});
    CHECK(kind_of([&] { backup_bytes(job); }) == "engine-unreachable");
    const ScratchDirectory scratch;
    SilentProgress progress;
    CHECK(kind_of([&] { write_backup_file(job, scratch / "b", progress); }) ==
          "engine-unreachable");
    CHECK(directory_entries(scratch.path()).empty());

    const std::string bytes = backup_bytes(streamed_job(
        text_stream(directory("0/") + file("0/a", std::string(3'000'000, 'a')) + tar_ending())));
    RestoreTargets targets;
    targets.streams["/data"] = {"0", {}, [](const ByteSource& source) {
                                    std::array<std::byte, 100> buffer{};
                                    source(buffer);
                                    throw Error(ErrorKind::no_space, "it is full");
                                }};
    CHECK(kind_of([&] { extract_bytes(bytes, targets); }) == "no-space");
    // A damaged backup never looks like a whole tar to the engine.
    bool whole = false;
    targets.streams["/data"].write = [&](const ByteSource& source) {
        std::vector<std::byte> buffer(65536);
        while (source(buffer) > 0) {
        }
        whole = true;
    };
    CHECK(kind_of([&] { extract_bytes(bytes.substr(0, bytes.size() / 2), targets); }) ==
          "archive-damaged");
    CHECK_FALSE(whole);
}

TEST_CASE("the size of a stream, and its root") {
    const VolumeStream stream = text_stream(directory("0/") + file("0/a", std::string(3000, 'a')) +
                                            file("0/b", "12345") + tar_ending());
    CHECK(streamed_size(stream, 1'000'000) == 3005);
    CHECK(streamed_size(stream, 10) == 3000);
    CHECK(streamed_root(stream).path == "0");
    CHECK(streamed_root(stream).type == TarType::directory);
}
