#include "host/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

struct Ran {
    BoundedResult result;
    std::string output;
};

BoundedProcess bash(const std::string& program) {
    BoundedProcess process;
    process.arguments = {"/bin/bash", "-c", program};
    process.environment = {"PATH=/usr/bin:/bin"};
    return process;
}

Ran run(BoundedProcess process) {
    Ran ran;
    process.output = [&](std::string_view bytes) { ran.output += bytes; };
    ran.result = run_bounded(process);
    return ran;
}

Ran run(const std::string& program) {
    return run(bash(program));
}

bool runs(pid_t pid) {
    try {
        return read_file("/proc/" + std::to_string(pid) + "/stat").find(") Z ") ==
               std::string::npos;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("stdout and stderr come together, in order, with the exit status as a shell tells it") {
    const Ran ran = run("echo one; echo two >&2; echo three; exit 7");
    CHECK(ran.output == "one\ntwo\nthree\n");
    CHECK(ran.result.status == 7);
    CHECK_FALSE(ran.result.timed_out);
    CHECK(run("kill -9 $$").result.status == 128 + SIGKILL);
    CHECK(run("head -c 3000000 /dev/zero").output.size() == 3'000'000);
}

TEST_CASE("stdin is a terminal at end of file, however often it is read") {
    CHECK(run("test -t 0 && ! test -t 1 && ! test -t 2").result.status == 0);
    CHECK(run("cat; read x; echo \"status $?\"").output == "status 1\n");
    CHECK(run("for i in $(seq 50); do read x && exit 9; done; echo end").output == "end\n");
    // Nobody echoes the ends of file, and what is written to the terminal stops nobody.
    CHECK(run("head -c 200000 /dev/zero >&0; echo written").output == "written\n");
}

TEST_CASE("a program that reads the terminal raw gets the character that ends a file") {
    CHECK(run("stty raw -echo; while read -r -N 1 c; do [[ $c == $'\\004' ]] && break; done;"
              "echo got it")
              .output.find("got it") != std::string::npos);
}

TEST_CASE("a session of its own, umask 022, directory, environment and nothing else") {
    const Ran ran =
        run("umask; pwd; env | grep -v -e ^_= -e ^PWD= -e ^SHLVL=; "
            "ls /proc/self/fd | wc -l; ps -o tty= -p $$; test $(ps -o pgid= -p $$) = $$ && test "
            "$(ps -o "
            "sid= -p $$) != " +
            std::to_string(getsid(0)));
    // ls itself has the directory open as the fourth.
    CHECK(ran.output == "0022\n/\nPATH=/usr/bin:/bin\n4\n?\n");
    CHECK(ran.result.status == 0);
    BoundedProcess process = bash("pwd");
    process.directory = "/usr";
    CHECK(run(process).output == "/usr\n");
}

TEST_CASE("signals are at their defaults and unblocked, whatever this process does with them") {
    struct sigaction before {};
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, &before);
    sigset_t blocked;
    sigset_t mask_before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &mask_before);
    const Ran ran = run("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    sigaction(SIGPIPE, &before, nullptr);
    sigprocmask(SIG_SETMASK, &mask_before, nullptr);
    for (const std::string& line : split(trim(ran.output), '\n')) {
        CHECK(line.find("0000000000000000") != std::string::npos);
    }
    CHECK(run("kill -TERM $$; sleep 60").result.status == 128 + SIGTERM);
}

TEST_CASE("descriptors of this process stay with it") {
    const int leaked = open("/etc/passwd", O_RDONLY);
    REQUIRE(leaked >= 0);
    CHECK(run("test -e /proc/self/fd/" + std::to_string(leaked)).result.status == 1);
    close(leaked);
}

TEST_CASE("the group is told before anything runs in it") {
    const Scratch scratch;
    const std::string witness = scratch.file("witness");
    BoundedProcess process = bash("touch '" + witness + "'; ps -o pgid= -p $$ | tr -d ' \n'");
    pid_t told = 0;
    bool already = true;
    process.started = [&](pid_t group) {
        told = group;
        already = exists(witness);
        CHECK(getpgid(group) == group);
        CHECK(process_start_time(group) != 0);
    };
    const Ran ran = run(process);
    CHECK(ran.output == std::to_string(told));
    CHECK_FALSE(already);
    CHECK(exists(witness));

    SUBCASE("and where telling fails nothing runs") {
        remove_tree(witness);
        process.started = [&](pid_t group) {
            told = group;
            throw std::runtime_error("disk full");
        };
        CHECK_THROWS_AS(run(process), std::runtime_error);
        CHECK_FALSE(exists(witness));
        CHECK_FALSE(runs(told));
    }
}

TEST_CASE("what waits for its start ends with a parent that is killed, and holds nothing of it") {
    const Scratch scratch;
    const std::string lock = scratch.file("lock");
    create_file(lock, "");
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    const FileDescriptor reading(ends[0]);
    FileDescriptor writing(ends[1]);
    const pid_t parent = fork();
    if (parent == 0) {
        const int held = open(lock.c_str(), O_RDWR | O_CLOEXEC);
        BoundedProcess process = bash("sleep 1000");
        process.started = [&](pid_t group) {
            const bool told = flock(held, LOCK_EX | LOCK_NB) == 0 &&
                              write(writing.get(), &group, sizeof(group)) == sizeof(group);
            kill(getpid(), told ? SIGKILL : SIGTERM);
        };
        run_bounded(process);
        _exit(1);
    }
    writing.reset();
    int status = 0;
    REQUIRE(waitpid(parent, &status, 0) == parent);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    const FileDescriptor again(open(lock.c_str(), O_RDWR | O_CLOEXEC));
    CHECK(flock(again.get(), LOCK_EX | LOCK_NB) == 0);
    pid_t group = 0;
    REQUIRE(read(reading.get(), &group, sizeof(group)) == sizeof(group));
    for (int tries = 0; runs(group) && tries < 1000; ++tries) {
        usleep(10'000);
    }
    CHECK_FALSE(runs(group));
}

TEST_CASE("at the limit the whole group ends") {
    BoundedProcess process = bash("sleep 1000 & echo $!; wait");
    process.limit = std::chrono::seconds(1);
    const Ran ran = run(process);
    CHECK(ran.result.timed_out);
    CHECK(ran.result.status == 128 + SIGTERM);
    CHECK_FALSE(runs(std::stoi(ran.output)));
}

TEST_CASE("output that never ends does not keep a program past its limit") {
    BoundedProcess process = bash("yes");
    process.limit = std::chrono::seconds(1);
    const BoundedResult result = run_bounded(process);
    CHECK(result.timed_out);
    CHECK(result.status == 128 + SIGTERM);
}

TEST_CASE("a program may clean up when its time is over") {
    BoundedProcess process = bash("trap 'echo cleaned; exit 5' TERM; sleep 1000 & wait");
    process.limit = std::chrono::seconds(1);
    const Ran ran = run(process);
    CHECK(ran.result.timed_out);
    CHECK(ran.result.status == 5);
    CHECK(ran.output == "cleaned\n");
}

TEST_CASE("a cancellation ends the group and is thrown") {
    BoundedProcess process = bash("echo up; sleep 1000");
    pid_t group = 0;
    process.started = [&](pid_t started) { group = started; };
    process.output = [](std::string_view) { request_cancellation(SIGINT); };
    CHECK_THROWS_WITH_AS(run_bounded(process), "interrupted by SIGINT", Error);
    CHECK_FALSE(runs(group));
    {
        const CancellationShield shield;
        CHECK(run("echo undone").output == "undone\n");
    }
    request_cancellation(0);
}

TEST_CASE("an exception of the listener leaves no process behind") {
    BoundedProcess process = bash("echo up; sleep 1000");
    pid_t group = 0;
    process.started = [&](pid_t started) { group = started; };
    process.output = [](std::string_view) { throw std::runtime_error("no more"); };
    CHECK_THROWS_AS(run_bounded(process), std::runtime_error);
    CHECK_FALSE(runs(group));
}

TEST_CASE("what a program leaves running in the background is not waited for") {
    // setsid: not in the group either. The pipe stays open in it.
    const Ran ran = run("setsid sleep 1000 & echo $!");
    const pid_t left = std::stoi(ran.output);
    CHECK(ran.result.status == 0);
    CHECK(runs(left));
    kill(left, SIGKILL);
}

TEST_CASE("output of a program's own pipeline that ends a moment later is not lost") {
    CHECK(run("exec > >(sleep 0.1; cat); echo late").output == "late\n");
}

TEST_CASE("what cannot be run says why") {
    const Scratch scratch;
    const auto refusal = [](const std::string& path) {
        BoundedProcess process;
        process.arguments = {path};
        try {
            run_bounded(process);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(refusal("/nowhere/x") == "cannot run '/nowhere/x': No such file or directory");
    const std::string no_interpreter = scratch.script("a", "#!/nowhere/bash\n");
    CHECK(refusal(no_interpreter).find("interpreter") != std::string::npos);
    CHECK(refusal(scratch.script("b", "echo hi\n")).find("'#!'") != std::string::npos);
    CHECK_THROWS_AS(run_attached({no_interpreter}, {}), Error);
}

TEST_CASE("a recorded group ends, unless its number belongs to another process now") {
    const pid_t group = fork();
    if (group == 0) {
        setsid();
        execl("/bin/bash", "bash", "-c", "trap '' TERM; sleep 1000 & wait; wait", nullptr);
        _exit(1);
    }
    while (getpgid(group) != group ||
           read_file("/proc/" + std::to_string(group) + "/comm") != "bash\n") {
        usleep(1000);
    }
    const unsigned long long start = process_start_time(group);
    end_process_group(group, start + 1, std::chrono::seconds(0));
    CHECK(runs(group));
    end_process_group(group, start, std::chrono::seconds(0));
    CHECK_FALSE(runs(group));
    waitpid(group, nullptr, 0);
    CHECK(process_start_time(group) == 0);
}

TEST_CASE("an attached program has the caller's streams, directory, group and environment") {
    const Scratch scratch;
    const std::string out = scratch.file("out");
    setenv("DRUNNER_TEST_KEPT", "kept", 1);
    setenv("DRUNNER_TEST_CHANGED", "before", 1);
    const std::string program = "cd '" + scratch.path() +
                                "'; echo $DRUNNER_TEST_KEPT $DRUNNER_TEST_CHANGED $DRUNNER_TEST_NEW"
                                " > out; ps -o pgid= -p $$ | tr -d ' ' >> out; exit 3";
    CHECK(run_attached({"/bin/bash", "-c", program},
                       {"DRUNNER_TEST_CHANGED=after", "DRUNNER_TEST_NEW=new"}) == 3);
    CHECK(read_file(out) == "kept after new\n" + std::to_string(getpgrp()) + "\n");
    unsetenv("DRUNNER_TEST_KEPT");
    unsetenv("DRUNNER_TEST_CHANGED");
    CHECK(run_attached({"/bin/bash", "-c", "kill -KILL $$"}, {}) == 128 + SIGKILL);
}

TEST_CASE("signals to drunner while an attached program runs") {
    struct sigaction before {};
    sigaction(SIGTERM, nullptr, &before);
    // The program signals its parent, which is this process.
    CHECK(run_attached({"/bin/bash", "-c",
                        "trap 'exit 41' TERM; kill -TERM $PPID; for i in $(seq 600); do sleep 0.1; "
                        "done"},
                       {}) == 41);
    CHECK(run_attached({"/bin/bash", "-c",
                        "trap 'exit 42' HUP; kill -HUP $PPID; for i in $(seq 600); do sleep 0.1; "
                        "done"},
                       {}) == 42);
    CHECK(run_attached({"/bin/bash", "-c", "kill -INT $PPID; kill -QUIT $PPID; exit 43"}, {}) ==
          43);
    CHECK(run_attached({"/bin/bash", "-c", "kill -INT $$; sleep 60"}, {}) == 128 + SIGINT);
    struct sigaction after {};
    sigaction(SIGTERM, nullptr, &after);
    CHECK((after.sa_handler == before.sa_handler));
}
