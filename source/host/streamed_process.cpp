#include "host/streamed_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/exec_pointers.hpp"

namespace drunner {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds tick{20};
constexpr std::chrono::seconds grace{10};
constexpr std::chrono::seconds patience{1};

std::string text_of(const FileDescriptor& file) {
    struct stat status {};
    fstat(file.get(), &status);
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    const ssize_t got = pread(file.get(), text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return text;
}

// What posix_spawn is told about a child's descriptors and signals.
class SpawnSettings {
  public:
    SpawnSettings(int input, int output, int errors) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
        posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        posix_spawnattr_init(&attributes_);
        sigset_t all;
        sigfillset(&all);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    }
    ~SpawnSettings() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    const posix_spawn_file_actions_t* actions() const { return &actions_; }
    const posix_spawnattr_t* attributes() const { return &attributes_; }

  private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

}  // namespace

StreamedProcess::StreamedProcess(std::vector<std::string> arguments,
                                 std::vector<std::string> environment, Ours ours)
    : program_(arguments.front()), output_(memory_file("")), errors_(memory_file("")) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error("cannot make a pipe", errno);
    }
    const bool feeds = ours == Ours::input;
    pipe_.reset(feeds ? ends[1] : ends[0]);
    if (feeds && fcntl(pipe_.get(), F_SETFL, O_NONBLOCK) != 0) {
        throw system_error("cannot make a pipe", errno);
    }
    const FileDescriptor childs(feeds ? ends[0] : ends[1]);
    const FileDescriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!nothing.valid()) {
        throw system_error("cannot open /dev/null", errno);
    }
    // Killed with us: the end of its input that our death is would look like any other. It begins
    // only where we still live when the kernel knows that.
    arguments.insert(arguments.begin(),
                     {"/usr/bin/setpriv", "--pdeathsig", "KILL", "/bin/sh", "-c",
                      "[ \"$PPID\" = \"$0\" ] && exec \"$@\"", std::to_string(getpid())});
    const std::vector<char*> argv = exec_pointers(arguments);
    const std::vector<char*> envp = exec_pointers(environment);
    const SpawnSettings settings(feeds ? childs.get() : nothing.get(),
                                 feeds ? output_.get() : childs.get(), errors_.get());
    check_cancellation();
    const int error = posix_spawn(&pid_, argv.front(), settings.actions(), settings.attributes(),
                                  argv.data(), envp.data());
    if (error != 0) {
        pid_ = -1;
        throw system_error("cannot start '" + program_ + "'", error);
    }
}

StreamedProcess::~StreamedProcess() {
    stop();
}

void StreamedProcess::stop() {
    if (pid_ < 0 || reap()) {
        return;
    }
    kill(-pid_, SIGINT);
    const auto kill_at = SteadyClock::now() + grace;
    while (!reap()) {
        if (SteadyClock::now() >= kill_at) {
            kill(-pid_, SIGKILL);
        }
        std::this_thread::sleep_for(tick);
    }
}

bool StreamedProcess::reap() {
    if (pid_ < 0) {
        return true;
    }
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended != pid_) {
        return false;
    }
    pid_ = -1;
    constexpr int signalled = 128;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : signalled + WTERMSIG(status);
    return true;
}

ExitStatus StreamedProcess::finish(std::chrono::seconds limit) {
    pipe_.reset();
    const auto until = SteadyClock::now() + limit;
    while (!reap()) {
        check_cancellation();
        if (SteadyClock::now() >= until) {
            throw Error(ErrorKind::timed_out, "'" + program_ + "' does not end");
        }
        std::this_thread::sleep_for(tick);
    }
    return status_;
}

bool StreamedProcess::has_ended() {
    const auto until = SteadyClock::now() + patience;
    while (!reap()) {
        if (SteadyClock::now() >= until) {
            return false;
        }
        std::this_thread::sleep_for(tick);
    }
    return true;
}

std::string StreamedProcess::output() const {
    return text_of(output_);
}

std::string StreamedProcess::errors() const {
    return text_of(errors_);
}

}  // namespace drunner
