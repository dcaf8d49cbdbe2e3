#include <doctest/doctest.h>
#include <stdlib.h>

#include "fakes/tree_listing.hpp"
#include "old_backup_fixture.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

OldVariables variables(const std::string& text) {
    return parse_old_variables(text);
}

// An open backup and the file that it reads.
struct Opened {
    explicit Opened(const std::string& bytes)
        : file(reading(bytes)), reader(read_old_backup(file.get(), not_packed)) {}

    FileDescriptor file;
    std::unique_ptr<BackupReader> reader;
};

std::string opening_error(const std::string& bytes) {
    return error_of([&] { const Opened opened(bytes); });
}

// The error of restoring a volume with these members, where nothing may appear beside the targets.
std::string hostile(const std::string& volume_members) {
    const ScratchDirectory scratch;
    RestoreTargets targets;
    targets.volumes["drunner-blog-data"] = scratch.make("a/b/volume");
    targets.hook_directory = scratch.make("a/b/hook");
    create_file(scratch / "a/b/x", "beside");
    const auto around = [&] {
        std::vector<std::string> lines = tree_listing(scratch.path());
        std::erase_if(lines, [](const std::string& line) {
            return line.starts_with("./a/b/volume") || line.starts_with("./a/b/hook");
        });
        return lines;
    };
    const auto before = around();
    const std::string error = error_of([&] {
        SilentProgress progress;
        Opened(old_backup_of(volume_members)).reader->extract(targets, progress);
    });
    CHECK(around() == before);
    return error;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("variables of the old tool are read as data") {
    CHECK(variables("OLDDOCKERVOLS=(\"a\" \"b\")\nIMAGENAME=\"team/app\"\n") ==
          OldVariables{"", "team/app", {"a", "b"}});
    CHECK(variables("OLDDOCKERVOLS=(\"a\" \"b\") IMAGENAME=\"app:2\"") ==
          OldVariables{"", "app:2", {"a", "b"}});
    CHECK(variables("OLDDOCKERVOLS=()\r\nIMAGENAME=app\r\n") == OldVariables{"", "app", {}});
    // The whole variables.sh of the tool's first versions in C++.
    CHECK(variables("VOLUMES=(\"/config\" \"/data\")\nEXTRACONTAINERS=()\nSERVICENAME=\"blog\"\n"
                    "IMAGENAME=\"blog:1\"\nSERVICETEMPDIR=\"/opt/temp\"\n"
                    "DOCKERVOLS=(\"drunner-blog-config\" \"drunner-blog-data\")\n"
                    "DOCKEROPTS=(\"-v\" \"drunner-blog-config:/config\")\n"
                    "INSTALLTIME=\"Sun Mar 20 10:11:12 2016\"\nHOSTIP=\"10.0.0.1\"\n") ==
          OldVariables{"blog", "blog:1", {"drunner-blog-config", "drunner-blog-data"}});
}

TEST_CASE("variables that only a shell could tell are refused, and none is executed") {
    const ScratchDirectory scratch;
    const std::string canary = scratch / "canary";
    for (const std::string& line :
         {"IMAGENAME=\"$(touch " + canary + ")\"", "IMAGENAME=`touch " + canary + "`",
          "OTHER=$(touch " + canary + ")", "touch " + canary, "x=1; touch " + canary,
          "OLDDOCKERVOLS=(\"$(touch " + canary + ")\")"}) {
        const std::string error = error_of([&] { variables("OLDDOCKERVOLS=()\n" + line + "\n"); });
        CHECK(error.starts_with("archive-refused"));
        CHECK(has(error, "line 2"));
    }
    CHECK_FALSE(exists(canary));
}

TEST_CASE("variables that name no volumes, or impossible ones, are refused") {
    CHECK(error_of([] { variables("IMAGENAME=\"a\"\n"); }).starts_with("archive-damaged"));
    CHECK(error_of([] { variables("OLDDOCKERVOLS=(\"a\"\n"); }).starts_with("archive-damaged"));
    for (const char* name : {"", "../x", "a/b", "-a", ".a", "a b", "a\nb"}) {
        CHECK(error_of([&] {
                  variables("OLDDOCKERVOLS=('" + std::string(name) + "')\n");
              }).starts_with("archive-refused"));
    }
    CHECK(error_of([] { variables("OLDDOCKERVOLS=(a a)\n"); }).starts_with("archive-refused"));
    CHECK(error_of([] {
              variables("OLDDOCKERVOLS=()\nIMAGENAME=(a b)\n");
          }).starts_with("archive-refused"));
    std::string many = "OLDDOCKERVOLS=(";
    for (int i = 0; i < 65; ++i) {
        many += " v" + std::to_string(i);
    }
    CHECK(error_of([&] { variables(many + ")"); }).starts_with("archive-refused"));
}

TEST_CASE("a backup of the old tool is restored: volume, hook's files, owners and links") {
    const std::string bytes = old_backup_of(
        tar_member({.name = "./", .type = '5', .mode = 0750, .uid = 22022, .gid = 5}) +
        tar_member({.name = "./install_date", .content = "2016\n"}) +
        tar_member({.name = "./deep/", .type = '5', .mode = 0700}) +
        tar_member({.name = "./deep/file", .content = "content", .mode = 0604, .uid = 7}) +
        tar_member({.name = "./deep/link", .type = '2', .link = "/elsewhere"}) +
        tar_member({.name = "./hard", .type = '1', .link = "./deep/file"}) +
        tar_member({.name = "./pipe", .type = '6'}));
    const Opened opened(bytes);
    const BackupHeader& header = opened.reader->header();
    CHECK(header.from_old_tool);
    CHECK(header.service.empty());
    CHECK(header.image_reference == "blog");
    REQUIRE(header.volumes.size() == 1);
    CHECK(header.volumes[0].name == "drunner-blog-data");
    CHECK(header.volumes[0].path == "drunner-blog-data");
    CHECK_FALSE(header.volumes[0].absent);

    const ScratchDirectory scratch;
    RestoreTargets targets;
    targets.volumes["drunner-blog-data"] = scratch.make("volume");
    targets.hook_directory = scratch.make("hook");
    SilentProgress progress;
    const RestoreResult result = opened.reader->extract(targets, progress);
    CHECK(result.files == 3);
    CHECK(result.original_bytes == 18);
    CHECK(read_file(scratch / "volume/deep/file") == "content");
    CHECK(read_file(scratch / "volume/hard") == "content");
    CHECK(read_symlink(scratch / "volume/deep/link") == "/elsewhere");
    CHECK(read_file(scratch / "volume/install_date") == "2016\n");
    CHECK(read_file(scratch / "hook/dump") == "dumped");
    CHECK(file_type(scratch / "volume/pipe") == FileType::other);

    std::vector<std::string> names;
    opened.reader->verify(
        [&](const BackupReader::Member& member) {
            names.push_back(member.type + " " + member.volume + ":" + member.name);
        },
        progress);
    CHECK(names == std::vector<std::string>{
                       "dir drunner-blog-data:", "file drunner-blog-data:install_date",
                       "dir drunner-blog-data:deep", "file drunner-blog-data:deep/file",
                       "link drunner-blog-data:deep/link", "hardlink drunner-blog-data:hard",
                       "fifo drunner-blog-data:pipe", "dir :", "file :dump"});
}

TEST_CASE("the parts of an old backup may come in any order, with or without their directories") {
    const std::string bytes =
        tar_member({.name = "containerbackup/dump", .content = "dumped"}) +
        old_volume("two", tar_member({.name = "file", .content = "second"})) +
        old_volume("one", tar_member({.name = "file", .content = "first"})) +
        old_variables_member("DOCKERVOLS=(one two)\nIMAGENAME=i\nSERVICENAME=s\n",
                             "oldvariables.sh") +
        tar_end();
    const Opened opened(bytes);
    CHECK(opened.reader->header().service == "s");
    const ScratchDirectory scratch;
    RestoreTargets targets;
    targets.volumes = {{"one", scratch.make("one")}, {"two", scratch.make("two")}};
    targets.hook_directory = scratch.make("hook");
    SilentProgress progress;
    opened.reader->extract(targets, progress);
    CHECK(read_file(scratch / "one/file") == "first");
    CHECK(read_file(scratch / "two/file") == "second");
    CHECK(read_file(scratch / "hook/dump") == "dumped");
}

TEST_CASE("a volume that the old tool left out is known before anything is restored") {
    const std::string bytes = old_root() + old_variables_member("OLDDOCKERVOLS=(one two)\n") +
                              old_volume("two", old_root()) + tar_end();
    const Opened opened(bytes);
    CHECK(opened.reader->header().volumes[0].absent);
    CHECK_FALSE(opened.reader->header().volumes[1].absent);
    SilentProgress progress;
    const std::string error = error_of([&] { opened.reader->verify({}, progress); });
    CHECK(error.starts_with("archive-damaged"));
    CHECK(has(error, "drbackup/one.tar.7z"));
}

TEST_CASE("what is no backup of the old tool is said to be none") {
    const std::string good = old_variables_member("OLDDOCKERVOLS=(one)\n");
    for (const std::string& bytes :
         {std::string(), std::string("no tar at all"), std::string(2000, 'x'),
          old_root() + tar_end(), good + good + tar_end(), good,
          tar_member({.name = "_oldvariables", .type = '2', .link = "/etc/passwd"}) + tar_end()}) {
        CHECK(opening_error(bytes).starts_with("archive-damaged"));
    }
    const std::string twice = good + old_volume("one", old_root()) + old_volume("one", old_root());
    SilentProgress progress;
    CHECK(error_of([&] {
              Opened(twice + tar_end()).reader->verify({}, progress);
          }).starts_with("archive-damaged"));
    const std::string linked =
        good + tar_member({.name = "drbackup/one.tar.7z", .type = '2', .link = "/etc/passwd"});
    CHECK(error_of([&] {
              Opened(linked + tar_end()).reader->verify({}, progress);
          }).starts_with("archive-damaged"));
}

TEST_CASE("nothing leaves the directories of a restore of an old backup") {
    const std::string root = old_root();
    CHECK(hostile(root + tar_member({.name = "./file", .content = "x"})) == "no error");
    CHECK(hostile(root + tar_member({.name = "../x", .content = "out"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + tar_member({.name = "./a/../../x", .content = "out"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + tar_member({.name = "/tmp/x", .content = "out"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + pax_member(pax_record("path", "../x")) +
                  tar_member({.name = "y", .content = "out"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + tar_member({.name = "./link", .type = '2', .link = ".."}) +
                  tar_member({.name = "./link/x", .content = "out"}))
              .starts_with("archive-damaged"));
    CHECK(hostile(root + tar_member({.name = "./link", .type = '2', .link = ".."}) +
                  tar_member({.name = "./link/", .type = '5'}) +
                  tar_member({.name = "./link/x", .content = "out"}))
              .starts_with("archive-damaged"));
    CHECK(hostile(root + tar_member({.name = "./link", .type = '2', .link = "../x"}) +
                  tar_member({.name = "./link", .content = "out"}))
              .starts_with("archive-damaged"));
    CHECK(hostile(root + tar_member({.name = "./hard", .type = '1', .link = "../x"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + tar_member({.name = "./hard", .type = '1', .link = "/etc/passwd"}))
              .starts_with("archive-refused"));
    CHECK(hostile(root + tar_member({.name = "./link", .type = '2', .link = ".."}) +
                  tar_member({.name = "./hard", .type = '1', .link = "./link/x"}))
              .starts_with("archive-damaged"));
    CHECK(hostile(root + tar_member({.name = "./a", .content = "1"}) +
                  tar_member({.name = "./a", .content = "2"}))
              .starts_with("archive-damaged"));
    CHECK(hostile(root + root).starts_with("archive-damaged"));
}

TEST_CASE("a device in an old backup is left out and told") {
    const ScratchDirectory scratch;
    RestoreTargets targets;
    targets.volumes["drunner-blog-data"] = scratch.make("volume");
    SilentProgress progress;
    Opened(old_backup_of(
               old_root() +
               tar_member({.name = "./sda", .type = '4', .device_major = 8, .device_minor = 0})))
        .reader->extract(targets, progress);
    CHECK(directory_entries(scratch / "volume").empty());
}

TEST_CASE("links out of the hook's files, which root reads, are refused") {
    const auto extracted = [](const std::string& members) {
        const ScratchDirectory scratch;
        RestoreTargets targets;
        targets.hook_directory = scratch.make("hook");
        return error_of([&] {
            SilentProgress progress;
            Opened(old_variables_member("OLDDOCKERVOLS=()\n") + members + tar_end())
                .reader->extract(targets, progress);
        });
    };
    const std::string file = tar_member({.name = "containerbackup/a", .content = "1"});
    CHECK(extracted(file + tar_member({.name = "containerbackup/l", .type = '2', .link = "a"})) ==
          "no error");
    CHECK(extracted(file +
                    tar_member({.name = "containerbackup/l", .type = '2', .link = "/etc/shadow"}))
              .starts_with("archive-refused"));
    CHECK(extracted(file +
                    tar_member({.name = "containerbackup/h", .type = '1', .link = "_oldvariables"}))
              .starts_with("archive-damaged"));
    CHECK(extracted(tar_member({.name = "containerbackup", .type = '2', .link = "/"}) + file)
              .starts_with("archive-damaged"));
}

TEST_CASE("without 7z a backup of the old tool says what to install") {
    const std::string path = getenv("PATH");
    const ScratchDirectory empty;
    setenv("PATH", empty.path().c_str(), 1);
    const std::string archive = std::string("7z\xbc\xaf'\x1c") + std::string(100, '\0');
    std::string next;
    try {
        verify_bytes(archive);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::system);
        next = error.next();
    }
    setenv("PATH", path.c_str(), 1);
    CHECK(next == "apt-get install p7zip-full");
}
