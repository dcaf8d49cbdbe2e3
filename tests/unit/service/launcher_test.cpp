#include "service/launcher.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "core/error.hpp"
#include "core/text.hpp"
#include "unit/host/scratch.hpp"
#include "unit/service/bash_judge.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

std::string refusal(const std::string& name, const std::string& path = "",
                    const std::string& own = "/nowhere/x") {
    try {
        check_launcher_name(ServiceName(name), path, own);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::invalid_name);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("every keyword and builtin of bash that could be a service's name is refused") {
    const std::string words = drunner::test::ask_bash("compgen -k; compgen -b").output;
    int checked = 0;
    for (const std::string& word : split(trim(words), '\n')) {
        if (ServiceName::is_valid(word)) {
            CAPTURE(word);
            CHECK(refusal(word).find("word of the shell") != std::string::npos);
            ++checked;
        }
    }
    CHECK(checked > 50);
}

TEST_CASE("names of drunner and of commands are refused") {
    const Scratch scratch;
    CHECK(refusal("drunner").find("drunner's own") != std::string::npos);
    CHECK(refusal("drunner-x").find("drunner's own") != std::string::npos);
    CHECK(refusal("ls").find("is a command already") != std::string::npos);
    CHECK(refusal("a-name-of-nothing").empty());

    scratch.script("blog", "#!/bin/sh\n");
    CHECK(refusal("blog").empty());
    CHECK(refusal("blog", "/nowhere:" + scratch.path()).find("blog' is a command") !=
          std::string::npos);
    write_file(scratch.file("data"), "", 0644);
    make_directories(scratch.file("directory"));
    CHECK(refusal("data", scratch.path()).empty());
    CHECK(refusal("directory", scratch.path()).empty());
}

TEST_CASE("the service's own launcher is no obstacle, under any name of its directory") {
    const Scratch scratch;
    const std::string binary = scratch.script("drunner", "#!/bin/sh\n");
    const std::string bin = scratch.file("bin");
    create_launcher(bin + "/blog", binary);
    replace_symlink(bin, scratch.file("also-bin"));
    CHECK(refusal("blog", bin, bin + "/blog").empty());
    CHECK(refusal("blog", scratch.file("also-bin"), bin + "/blog").empty());
    CHECK_FALSE(refusal("blog", bin, "/nowhere/blog").empty());
    scratch.script("blog", "#!/bin/sh\n");
    CHECK_FALSE(refusal("blog", scratch.path(), bin + "/blog").empty());
    CHECK_FALSE(refusal("blog", scratch.path(), scratch.file("blog")).empty());
}

TEST_CASE("launchers are made where nothing stands and removed where they are launchers") {
    const Scratch scratch;
    const std::string binary = scratch.script("drunner-1.0", "#!/bin/sh\n");
    const std::string link = scratch.file("bin/blog");
    CHECK_FALSE(remove_launcher(link));
    create_launcher(link, binary);
    CHECK(is_launcher(link));
    CHECK(read_symlink(link) == binary);
    CHECK_THROWS_AS(create_launcher(link, binary), Error);
    CHECK(remove_launcher(link));
    CHECK_FALSE(exists(link));

    write_file(link, "mine");
    CHECK_FALSE(is_launcher(link));
    CHECK_FALSE(remove_launcher(link));
    CHECK_THROWS_AS(create_launcher(link, binary), Error);
    CHECK(read_file(link) == "mine");

    const std::string other = scratch.file("bin/other");
    replace_symlink("/bin/ls", other);
    CHECK_FALSE(is_launcher(other));
    CHECK_FALSE(remove_launcher(other));
    // One whose binary is gone is still a launcher: uninstall must be able to remove it.
    replace_symlink("/nowhere/drunner", other);
    CHECK(is_launcher(other));
    // One that reaches the binary through another name of it.
    replace_symlink(binary, scratch.file("alternative"));
    replace_symlink(scratch.file("alternative"), other);
    CHECK(is_launcher(other));
}

TEST_CASE("a launcher's place tells its prefix") {
    CHECK(prefix_of_launcher("/srv/x/usr/local/bin/blog") == "/srv/x");
    CHECK(prefix_of_launcher("/usr/local/bin/blog").empty());
    CHECK(prefix_of_launcher("/opt/bin/blog").empty());
    CHECK(prefix_of_launcher("srv/usr/local/bin/blog").empty());
    CHECK(prefix_of_launcher("").empty());
    CHECK(prefix_of_launcher("/srv/my-usr/local/bin/blog").empty());
}

TEST_CASE("reserved words say what to type, every other word is the service's") {
    const ServiceName name("blog");
    CHECK(reserved_word_advice("backup", name) == "drunner backup blog");
    CHECK(reserved_word_advice("install", name) == "drunner install IMAGE blog");
    CHECK(reserved_word_advice("restore", name) == "drunner restore FILE blog");
    for (const char* word :
         {"install",      "updatestart",  "updateend",   "backupstart",      "backupend",
          "restore",      "uninstall",    "obliterate",  "backup",           "update",
          "recover",      "rollback",     "install_end", "update_start",     "update_end",
          "backup_start", "backup_end",   "restore_end", "uninstall_start",  "obliterate_start",
          "enter_start",  "status_start", "status_end",  "servicecmd_start", "servicecmd_end",
          "checksecret",  "check_secret"}) {
        CAPTURE(word);
        CHECK(reserved_word_advice(word, name).find("blog") != std::string::npos);
    }
    for (const char* word : {"enter", "help", "selftest", "status", "configure", "secret", "list",
                             "test", "log", "start", "", "Backup"}) {
        CAPTURE(word);
        CHECK(reserved_word_advice(word, name).empty());
    }
}
