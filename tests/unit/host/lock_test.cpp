#include "host/lock.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/process.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

constexpr std::chrono::seconds at_once{0};

// A process beside this one that holds the lock until it is killed.
class Neighbour {
  public:
    explicit Neighbour(const std::string& path) {
        int ready[2];
        REQUIRE(pipe(ready) == 0);
        pid_ = fork();
        if (pid_ == 0) {
            const FileLock lock = FileLock::acquire(path, "drunner update blog", at_once);
            if (write(ready[1], "x", 1) == 1) {
                pause();
            }
            _exit(0);
        }
        char word = 0;
        close(ready[1]);
        CHECK(read(ready[0], &word, 1) == 1);
        close(ready[0]);
    }
    ~Neighbour() { end(true); }
    Neighbour(const Neighbour&) = delete;
    Neighbour& operator=(const Neighbour&) = delete;

    void end(bool reap) {
        if (pid_ != 0) {
            kill(pid_, SIGKILL);
            siginfo_t info{};
            waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | (reap ? 0 : WNOWAIT));
            pid_ = reap ? 0 : pid_;
        }
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = 0;
};

std::string refusal(const std::string& path) {
    try {
        FileLock::acquire(path, "drunner backup blog", at_once);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::locked);
        CHECK(error.next().find("--wait") != std::string::npos);
        return error.what();
    }
    return "";
}

// What `question` answers in a child of this process, which `lock` admits before.
bool in_child(const std::function<bool()>& question, const FileLock* lock = nullptr) {
    int admitted[2];
    REQUIRE(pipe(admitted) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        char word = 0;
        close(admitted[1]);
        bool answer = read(admitted[0], &word, 1) == 1;
        try {
            answer = question();
        } catch (...) {
        }
        _exit(answer ? 0 : 1);
    }
    if (lock != nullptr) {
        lock->admit(pid);
    }
    CHECK(write(admitted[1], "x", 1) == 1);
    close(admitted[0]);
    close(admitted[1]);
    int status = 0;
    waitpid(pid, &status, 0);
    return status == 0;
}

}  // namespace

TEST_CASE("a lock names its holder to the one who is refused, and goes with it") {
    const Scratch scratch;
    const std::string path = scratch.file("run/blog.lock");
    CHECK(FileLock::holder(path).empty());
    {
        const Neighbour neighbour(path);
        const std::string named =
            "pid " + std::to_string(neighbour.pid()) + ", 'drunner update blog', ";
        CHECK(refusal(path).find(named) != std::string::npos);
        CHECK(FileLock::holder(path).find(named) == 0);
    }
    CHECK(FileLock::holder(path).empty());
    CHECK_FALSE(FileLock::acquire(path, "drunner backup blog", at_once).nested());
}

TEST_CASE("a killed holder blocks nobody, even while it is a zombie") {
    const Scratch scratch;
    const std::string path = scratch.file("blog.lock");
    Neighbour neighbour(path);
    neighbour.end(false);
    REQUIRE(process_start_time(neighbour.pid()) != 0);
    CHECK(FileLock::holder(path).empty());
    CHECK_FALSE(FileLock::acquire(path, "drunner backup blog", at_once).nested());
}

TEST_CASE("the lock counts as held for what its holder runs, and only as long as it is held") {
    const Scratch scratch;
    const std::string path = scratch.file("blog.lock");
    std::optional<FileLock> lock = FileLock::acquire(path, "drunner update blog", at_once);
    CHECK_FALSE(lock->nested());
    const auto is_nested = [&] { return FileLock::acquire(path, "hook", at_once).nested(); };
    CHECK(in_child(is_nested, &*lock));
    CHECK(in_child([&] { return FileLock::holder(path).empty(); }, &*lock));
    CHECK(in_child([&] { return in_child(is_nested); }, &*lock));
    SUBCASE("a child that was not admitted, as the hook of another service, is a stranger") {
        CHECK(in_child([&] {
            return FileLock::holder(path).find("'drunner update blog'") != std::string::npos;
        }));
        CHECK(in_child([&] { return !refusal(path).empty(); }));
        const FileLock other =
            FileLock::acquire(scratch.file("other.lock"), "drunner update blog", at_once);
        CHECK(in_child([&] { return !refusal(path).empty(); }, &other));
    }
    SUBCASE("a second thread of work in the same process is not nested") {
        CHECK(refusal(path).find("drunner update blog") != std::string::npos);
    }
    SUBCASE("afterwards it is free for others, and no ancestor is believed to hold it") {
        lock.reset();
        const Neighbour neighbour(path);
        CHECK(in_child([&] { return !refusal(path).empty(); }));
    }
    SUBCASE("a moved lock is held by what it was moved to") {
        {
            const FileLock moved = std::move(*lock);
            lock.reset();
            CHECK_FALSE(refusal(path).empty());
        }
        CHECK(refusal(path).empty());
    }
}

TEST_CASE("whatever stands in the file, the kernel decides") {
    const Scratch scratch;
    const std::string path = scratch.file("blog.lock");
    for (const std::string& content :
         {std::string(), std::string("nonsense"),
          "1 " + std::to_string(process_start_time(1)) + " 0\nx\n",
          std::to_string(getppid()) + " 7 7\nx\n", std::string(10000, '9'), std::string("1 2")}) {
        CAPTURE(content);
        write_file(path, content);
        CHECK_FALSE(FileLock::acquire(path, "drunner backup blog", at_once).nested());
        write_file(path, content);
        const FileDescriptor fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(flock(fd.get(), LOCK_EX) == 0);
        if (content.substr(0, 2) != "1 " || content == "1 2") {
            CHECK(refusal(path).find("another process") != std::string::npos);
        }
    }
}

TEST_CASE("a command in the lock cannot steer a terminal") {
    const Scratch scratch;
    const std::string path = scratch.file("blog.lock");
    const FileLock lock = FileLock::acquire(path, "drunner \x1b[2J", at_once);
    CHECK(refusal(path).find("drunner \\x1b[2J") != std::string::npos);
}

TEST_CASE("a wait ends when the lock is free, and when a signal asks") {
    const Scratch scratch;
    const std::string path = scratch.file("blog.lock");
    Neighbour neighbour(path);
    SUBCASE("free") {
        const pid_t killer = fork();
        if (killer == 0) {
            usleep(200'000);
            kill(neighbour.pid(), SIGKILL);
            _exit(0);
        }
        CHECK_FALSE(FileLock::acquire(path, "drunner backup blog", std::chrono::hours(1)).nested());
        waitpid(killer, nullptr, 0);
    }
    SUBCASE("cancelled") {
        request_cancellation(SIGTERM);
        CHECK_THROWS_WITH_AS(FileLock::acquire(path, "drunner backup", std::chrono::hours(1)),
                             "interrupted by SIGTERM", Error);
        request_cancellation(0);
    }
}
