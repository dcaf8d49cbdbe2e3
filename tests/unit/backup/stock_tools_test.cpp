#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include "backup/age_key.hpp"
#include "backup_fixture.hpp"
#include "fakes/nasty_tree.hpp"
#include "fakes/tree_listing.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

bool runs(const std::string& command) {
    return system(fmt::format("bash -c 'set -o pipefail; {}' 2>/dev/null", command).c_str()) == 0;
}

bool have(const std::string& program) {
    return runs("command -v " + program + " >/dev/null");
}

// Writes a backup of a nasty tree to scratch/b.
void write_nasty(const ScratchDirectory& scratch, const BackupKey& key = {}) {
    BackupJob job = job_of(scratch.make("source"));
    make_nasty_tree(scratch / "source", 30);
    job.key = key;
    SilentProgress progress;
    write_backup_file(job, scratch / "b", progress);
}

}  // namespace

TEST_CASE("zstd and GNU tar give back everything") {
    if (!have("zstd") || !have("tar")) {
        MESSAGE("zstd or tar is missing");
        return;
    }
    const ScratchDirectory scratch;
    write_nasty(scratch);
    const std::string directory = scratch.path();
    CHECK(runs("zstd -tq " + directory + "/b"));
    CHECK(runs("zstd -dqc < " + directory + "/b | tar t > " + directory + "/list"));
    const std::string list = read_file(directory + "/list");
    CHECK(list.starts_with("drunner/header.json\nvolumes/1/\n"));
    CHECK(list.ends_with("\ndrunner/closing.json\n"));
    scratch.make("out");
    CHECK(runs("zstd -dqc < " + directory +
               "/b | tar x --xattrs --xattrs-include=* --acls --numeric-owner -C " + directory +
               "/out"));
    const auto before = tree_listing(scratch / "source");
    const auto after = tree_listing(scratch / "out/volumes/1");
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
        CHECK(before[i] == after[i]);
    }
}

TEST_CASE("age opens what is written for its recipients, and the other way round") {
    if (!have("age") || !have("age-keygen")) {
        MESSAGE("age is missing");
        return;
    }
    const ScratchDirectory scratch;
    const std::string directory = scratch.path();
    const AgeKeyPair own = make_age_key_pair("2024-01-01T00:00:00Z");
    create_file(scratch / "own", own.identity_file);
    REQUIRE(runs("age-keygen -o " + directory + "/theirs"));
    REQUIRE(runs("age-keygen -y " + directory + "/theirs > " + directory + "/recipient"));
    REQUIRE(runs("test $(age-keygen -y " + directory + "/own) = " + own.recipient));
    std::string recipient = read_file(scratch / "recipient");
    recipient.pop_back();
    BackupKey key;
    key.recipients = {own.recipient, recipient};
    write_nasty(scratch, key);
    for (const char* identity : {"own", "theirs"}) {
        CHECK(runs(fmt::format("age -d -i {0}/{1} {0}/b | zstd -dq | tar t >/dev/null", directory,
                               identity)));
        OpenKey open_key;
        open_key.identity_file = scratch / identity;
        CHECK(error_of([&] { verify_bytes(read_file(scratch / "b"), open_key); }) == "no error");
    }
    // Opened and sealed again by age.
    CHECK(runs(
        fmt::format("age -d -i {0}/own {0}/b | age -r {1} > {0}/again", directory, own.recipient)));
    OpenKey open_key;
    open_key.identity_file = scratch / "own";
    CHECK(error_of([&] { verify_bytes(read_file(scratch / "again"), open_key); }) == "no error");
    // Compressed again by zstd, with another frame layout and without the trailer.
    CHECK(runs(
        fmt::format("age -d -i {0}/own {0}/b | zstd -dq | zstd -q -9 > {0}/stock", directory)));
    open_key = {};
    open_key.require_trailer = false;
    CHECK(error_of([&] { verify_bytes(read_file(scratch / "stock"), open_key); }) == "no error");
}

TEST_CASE("age's armor is refused by name, and its other recipients are passed over") {
    if (!have("age") || !have("ssh-keygen")) {
        MESSAGE("age or ssh-keygen is missing");
        return;
    }
    const ScratchDirectory scratch;
    const std::string directory = scratch.path();
    const AgeKeyPair own = make_age_key_pair("2024-01-01T00:00:00Z");
    create_file(scratch / "own", own.identity_file);
    BackupJob job = job_of(scratch.make("source"));
    create_file(scratch / "source/a", std::string(100'000, 'a'));
    SilentProgress progress;
    write_backup_file(job, scratch / "plain", progress);
    OpenKey key;
    key.identity_file = scratch / "own";

    REQUIRE(runs(fmt::format("age -a -r {1} -o {0}/armored {0}/plain", directory, own.recipient)));
    const std::string armored = read_file(scratch / "armored");
    try {
        verify_bytes(armored, key);
        FAIL("armor was accepted");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::archive_refused);
        CHECK(std::string(error.what()).find("ASCII armor") != std::string::npos);
        CHECK(error.next().find("age -d") != std::string::npos);
    }
    // As that next line says.
    REQUIRE(runs(fmt::format("age -d -i {0}/own -o {0}/opened {0}/armored", directory)));
    CHECK(read_file(scratch / "opened") == read_file(scratch / "plain"));

    REQUIRE(
        runs(fmt::format("ssh-keygen -q -t ed25519 -f {0}/ed -N \"\" && "
                         "ssh-keygen -q -t rsa -b 2048 -f {0}/rsa -N \"\"",
                         directory)));
    REQUIRE(runs(fmt::format("age -R {0}/ed.pub -R {0}/rsa.pub -r {1} -o {0}/mixed {0}/plain",
                             directory, own.recipient)));
    CHECK(error_of([&] { verify_bytes(read_file(scratch / "mixed"), key); }) == "no error");
    REQUIRE(runs(fmt::format("age -R {0}/ed.pub -o {0}/foreign {0}/plain", directory)));
    CHECK(error_of([&] {
              verify_bytes(read_file(scratch / "foreign"), key);
          }).starts_with("wrong-password"));
}

TEST_CASE("age opens a password's file, and the other way round") {
    if (!have("age") || !have("script")) {
        MESSAGE("age or script is missing");
        return;
    }
    const ScratchDirectory scratch;
    const std::string directory = scratch.path();
    BackupJob job = job_of(scratch.make("source"));
    job.key.password = Secret("open sesame");
    job.key.work_factor = 10;
    SilentProgress progress;
    write_backup_file(job, scratch / "b", progress);
    const auto typed = [&](const std::string& command, int times) {
        std::string answers = "(sleep 1";
        for (int i = 0; i < times; ++i) {
            answers += "; echo open sesame; sleep 1";
        }
        return runs(answers + ") | script -qec \"" + command + "\" /dev/null >/dev/null");
    };
    CHECK(typed(fmt::format("age -d -o {0}/plain {0}/b", directory), 1));
    CHECK(error_of([&] { verify_bytes(read_file(scratch / "plain")); }) == "no error");
    CHECK(typed(fmt::format("age -p -o {0}/theirs {0}/plain", directory), 2));
    OpenKey key;
    key.password = Secret("open sesame");
    CHECK(error_of([&] { verify_bytes(read_file(scratch / "theirs"), key); }) == "no error");
}
