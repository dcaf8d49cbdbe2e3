#include "host/piped_process.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "fakes/scratch_directory.hpp"

using namespace drunner;

namespace {

struct Ended {
    std::string output;
    std::string errors;
    ExitStatus status;
};

Ended shell(const std::string& script, std::string_view input = {}, std::uint64_t memory = 0) {
    PipedStart start;
    start.arguments = {"/bin/sh", "-c", script};
    start.environment = {"PATH=/usr/bin:/bin", "WORD=one"};
    start.input = input;
    start.memory = memory;
    PipedProcess process(start);
    std::array<std::byte, 1000> buffer{};
    Ended ended{};
    while (const std::size_t got = process.read(buffer)) {
        ended.output.append(reinterpret_cast<const char*>(buffer.data()), got);
    }
    ended.status = process.wait();
    ended.errors = process.errors();
    return ended;
}

}  // namespace

TEST_CASE("a piped process gets its input and its environment, and nothing else") {
    const Ended ended = shell("cat; echo $WORD$HOME; echo oops >&2; exit 3", "secret\n");
    CHECK(ended.output == "secret\none\n");
    CHECK(ended.errors == "oops\n");
    CHECK(ended.status == 3);
    CHECK(shell("ls /proc/self/fd | wc -l").output == "4\n");  // with the one that ls opened
    CHECK(shell("cat; [ -t 0 ] || (exec </dev/tty) 2>/dev/null || echo none").output == "none\n");
}

TEST_CASE("a piped process may write much to both streams") {
    const Ended ended = shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero");
    CHECK(ended.output.size() == 300'000);
    CHECK(ended.errors.size() == 8192);
    CHECK(ended.status == 0);
}

TEST_CASE("a piped process writes no files and keeps to its memory") {
    const test::ScratchDirectory scratch;
    CHECK(shell("echo x >" + (scratch / "file")).status != 0);
    constexpr std::uint64_t limit = std::uint64_t{64} << 20U;
    CHECK(shell("ulimit -v", "", limit).output == std::to_string(limit / 1024) + "\n");
}

TEST_CASE("a piped process that nobody reads to its end is ended") {
    PipedStart start;
    start.arguments = {"/bin/sh", "-c", "trap '' TERM PIPE; while :; do echo $$; done"};
    pid_t pid = 0;
    {
        PipedProcess process(start);
        std::array<std::byte, 64> buffer{};
        const std::size_t got = process.read(buffer);
        pid = std::stoi(std::string(reinterpret_cast<const char*>(buffer.data()), got));
        CHECK(process_start_time(pid) != 0);
    }
    CHECK(process_start_time(pid) == 0);
}

TEST_CASE("a program that is not there, and input that is too long") {
    PipedStart start;
    start.arguments = {"/nowhere/program"};
    CHECK_THROWS_AS(PipedProcess{start}, Error);
    start.arguments = {"/bin/cat"};
    const std::string long_input(5000, 'x');
    start.input = long_input;
    CHECK_THROWS_AS(PipedProcess{start}, Error);
}
