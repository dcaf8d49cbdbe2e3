#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "fakes/temporary_directory.hpp"
#include "fakes/tree_listing.hpp"
#include "host/file.hpp"
#include "host/process.hpp"
#include "operation/streamed_volumes.hpp"

namespace drunner::test {
namespace {

// A volume's directory, and the program that is sent to the engine's machine.
class Mover {
  public:
    Mover() {
        write_file(directory_.path() + "/mover", std::string(as_text(volume_mover_program())),
                   0700);
        make_directories(volume() + "/deep/er", 0755);
        write_file(volume() + "/file", "old\n");
        write_file(volume() + "/deep/er/another", "old too\n");
        write_file(volume() + "/.hidden", "");
        REQUIRE(setxattr(volume().c_str(), "user.note", "x", 1, 0) == 0);
        REQUIRE(chown(volume().c_str(), 7, 8) == 0);
        REQUIRE(chmod(volume().c_str(), 02750) == 0);
        const timespec old{1'000'000'000, 5};
        const timespec times[]{old, old};
        REQUIRE(utimensat(AT_FDCWD, volume().c_str(), times, 0) == 0);
    }

    std::string volume() const { return directory_.path() + "/v"; }
    std::string aside() const { return volume() + "/.aside"; }
    std::vector<std::string> listing() const { return tree_listing(volume()); }

    int run(const std::string& verb, const std::vector<std::string>& tracer = {}) const {
        BoundedProcess process;
        process.arguments = tracer;
        for (const std::string& word :
             {directory_.path() + "/mover", verb, std::string(".aside"), volume()}) {
            process.arguments.push_back(word);
        }
        process.environment = {"PATH=/usr/bin:/bin"};
        process.output = [](std::string_view) {};
        return run_bounded(process).status;
    }

    void write_new() const {
        write_file(volume() + "/file", "new\n");
        make_directories(volume() + "/deep", 0700);
        REQUIRE(chmod(volume().c_str(), 0777) == 0);
    }

  private:
    TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("what is set aside in a volume comes back as it was, in place of all that came since") {
    const Mover mover;
    const std::vector<std::string> before = mover.listing();
    REQUIRE(mover.run("aside") == 0);
    CHECK(directory_entries(mover.volume()) == std::vector<std::string>{".aside"});
    mover.write_new();
    CHECK(mover.run("back") == 0);
    CHECK(mover.listing() == before);
    CHECK(mover.run("back") == 0);
    CHECK(mover.run("drop") == 0);
    CHECK(mover.listing() == before);
    CHECK(mover.run("fly") == 1);
}

TEST_CASE("what is set aside can be dropped, and a volume cleared") {
    const Mover mover;
    REQUIRE(mover.run("aside") == 0);
    mover.write_new();
    CHECK(mover.run("drop") == 0);
    CHECK(directory_entries(mover.volume()) == std::vector<std::string>{"deep", "file"});
    CHECK(mover.run("clear") == 0);
    CHECK(directory_entries(mover.volume()).empty());
    CHECK(mover.run("clear") == 0);
}

TEST_CASE("the mover killed at every system call that changes something: nothing old is lost") {
    if (!exists("/usr/bin/strace")) {
        MESSAGE("strace is missing");
        return;
    }
    std::size_t cases = 0;
    for (const std::string verb : {"aside", "back"}) {
        for (const char* call : {"rename", "mkdir", "rmdir", "unlinkat", "syncfs"}) {
            for (int number = 1;; ++number) {
                const Mover mover;
                std::vector<std::string> before = mover.listing();
                if (verb == "back") {
                    REQUIRE(mover.run("aside") == 0);
                    mover.write_new();
                }
                const int status =
                    mover.run(verb, {"/usr/bin/strace", "-f", "-o", "/dev/null", "-e",
                                     std::string("inject=") + call +
                                         ":signal=KILL:when=" + std::to_string(number)});
                if (status == 0) {
                    break;
                }
                INFO(verb << " killed at '" << std::string(call) << "' " << number);
                REQUIRE(mover.run("back") == 0);
                std::vector<std::string> after = mover.listing();
                // The root's own line: its time is lost where the moves were cut off.
                before.erase(before.begin());
                after.erase(after.begin());
                CHECK(after == before);
                ++cases;
            }
        }
    }
    CHECK(cases >= 15);
}

}  // namespace drunner::test
