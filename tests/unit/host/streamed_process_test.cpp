#include "host/streamed_process.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <thread>

#include "fakes/scratch_directory.hpp"

using namespace drunner;

namespace {

const std::vector<std::string> environment{"PATH=/usr/bin:/bin", "WORD=one"};
constexpr std::chrono::seconds limit{60};

StreamedProcess shell(const std::string& script, StreamedProcess::Ours ours) {
    return {{"sh", "-c", script}, environment, ours};
}

void feed(const StreamedProcess& process, std::string_view text) {
    REQUIRE(write(process.pipe(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("a streamed process takes what it is fed, and what it says is kept") {
    auto process =
        shell("cat; echo $WORD$HOME; echo oops >&2; exit 3", StreamedProcess::Ours::input);
    feed(process, "first ");
    feed(process, "second\n");
    CHECK(process.finish(limit) == 3);
    CHECK(process.output() == "first second\none\n");
    CHECK(process.errors() == "oops\n");
}

TEST_CASE("a streamed process is read to its end, with no input of its own") {
    auto process = shell("cat; head -c 300000 /dev/zero; ls /proc/self/fd | wc -l >&2",
                         StreamedProcess::Ours::output);
    std::size_t size = 0;
    std::array<char, 5000> buffer{};
    for (ssize_t got = 0; (got = read(process.pipe(), buffer.data(), buffer.size())) > 0;) {
        size += static_cast<std::size_t>(got);
    }
    CHECK(process.finish(limit) == 0);
    CHECK(size == 300'000);
    CHECK(process.errors() == "4\n");  // with the one that ls opened
}

TEST_CASE("a streamed process that is given up never sees the end of its input") {
    const test::ScratchDirectory scratch;
    const std::string file = scratch / "ended";
    {
        auto process = shell("cat >/dev/null; echo ended >" + file, StreamedProcess::Ours::input);
        feed(process, "half");
    }
    CHECK_FALSE(exists(file));
    {
        // Nor one that does not listen to an interrupt, where the thread that started it is gone.
        const std::string begun = scratch / "begun";
        std::unique_ptr<StreamedProcess> process;
        std::thread([&] {
            process = std::make_unique<StreamedProcess>(
                std::vector<std::string>{
                    "sh", "-c", "trap '' INT; echo >" + begun + "; cat >/dev/null; echo >" + file},
                environment, StreamedProcess::Ours::input);
            while (!exists(begun)) {
                std::this_thread::yield();
            }
        }).join();
        CHECK(process->has_ended());
        CHECK(process->status() == 128 + SIGKILL);
    }
    CHECK_FALSE(exists(file));
}

TEST_CASE("a program that is not there ends with 127") {
    StreamedProcess process({"no-such-program"}, environment, StreamedProcess::Ours::input);
    CHECK(process.finish(limit) == 127);
    CHECK(process.errors().find("no-such-program") != std::string::npos);
}

TEST_CASE("a streamed process that ends by nothing else is waited for no longer, and killed") {
    const test::ScratchDirectory scratch;
    const std::string file = scratch / "ended";
    {
        auto process = shell("trap '' INT; sleep 60; echo >" + file, StreamedProcess::Ours::input);
        CHECK_THROWS_WITH(process.finish(std::chrono::seconds(1)), "'sh' does not end");
    }
    CHECK_FALSE(exists(file));
}
