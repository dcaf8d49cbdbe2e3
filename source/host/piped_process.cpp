#include "host/piped_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/exec_pointers.hpp"

namespace drunner {
namespace {

constexpr std::size_t input_limit = 4096;  // PIPE_BUF: it fits into a pipe that nobody reads
constexpr std::size_t errors_limit = 8192;
constexpr int tick_milliseconds = 200;
constexpr int exec_failed = 127;

struct Pipe {
    FileDescriptor reading;
    FileDescriptor writing;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error("cannot make a pipe", errno);
    }
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

void limit(__rlimit_resource resource, rlim_t value) {
    const rlimit bounds{value, value};
    if (setrlimit(resource, &bounds) != 0) {
        _exit(exec_failed);
    }
}

// The child, where only async-signal-safe calls are allowed.
[[noreturn]] void become(const PipedStart& start, char* const* arguments, char* const* environment,
                         const std::array<int, 3>& streams, int channel) {
    // First above 9, so that the order of the streams does not matter.
    constexpr int own_channel = 3;
    std::array<int, 3> safe{};
    for (std::size_t i = 0; i < safe.size(); ++i) {
        safe[i] = fcntl(streams[i], F_DUPFD, 10);
    }
    const int safe_channel = fcntl(channel, F_DUPFD, 10);
    for (std::size_t i = 0; i < safe.size(); ++i) {
        if (dup2(safe[i], static_cast<int>(i)) < 0) {
            _exit(exec_failed);
        }
    }
    if (dup3(safe_channel, own_channel, O_CLOEXEC) < 0 ||
        syscall(SYS_close_range, own_channel + 1U, ~0U, 0U) != 0) {
        _exit(exec_failed);
    }
    setsid();
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) {
        sigaction(number, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    if (start.memory > 0) {
        limit(RLIMIT_AS, start.memory);
    }
    execve(arguments[0], arguments, environment);
    const int error = errno;
    [[maybe_unused]] const ssize_t written = write(own_channel, &error, sizeof(error));
    _exit(exec_failed);
}

}  // namespace

// By way of another constructor, so that what throws here meets the destructor.
PipedProcess::PipedProcess(const PipedStart& start) : PipedProcess() {
    check_cancellation();
    if (start.input.size() > input_limit) {
        throw Error(ErrorKind::system, "what '" + start.arguments[0] + "' is to read is too long");
    }
    Pipe input = make_pipe();
    Pipe output = make_pipe();
    Pipe errors = make_pipe();
    Pipe channel = make_pipe();
    // While both ends are ours, so that it can neither wait nor raise a signal.
    if (write(input.writing.get(), start.input.data(), start.input.size()) !=
        static_cast<ssize_t>(start.input.size())) {
        throw system_error("cannot write to '" + start.arguments[0] + "'", errno);
    }
    std::vector<std::string> arguments = start.arguments;
    std::vector<std::string> environment = start.environment;
    const std::vector<char*> argument_pointers = exec_pointers(arguments);
    const std::vector<char*> environment_pointers = exec_pointers(environment);
    pid_ = fork();
    if (pid_ < 0) {
        throw system_error("cannot start '" + start.arguments[0] + "'", errno);
    }
    if (pid_ == 0) {
        become(start, argument_pointers.data(), environment_pointers.data(),
               {input.reading.get(), output.writing.get(), errors.writing.get()},
               channel.writing.get());
    }
    channel.writing.reset();
    output_ = std::move(output.reading);
    error_output_ = std::move(errors.reading);
    int error = 0;
    ssize_t got = 0;
    do {
        got = ::read(channel.reading.get(), &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    if (got == sizeof(error)) {
        throw system_error("cannot run '" + start.arguments[0] + "'", error);
    }
}

PipedProcess::~PipedProcess() {
    if (pid_ > 0) {
        kill(-pid_, SIGKILL);
        wait();
    }
}

void PipedProcess::read_errors() {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(error_output_.get(), buffer.data(), buffer.size());
    if (got == 0 || (got < 0 && errno != EINTR)) {
        error_output_.reset();
    } else if (got > 0) {
        errors_.append(buffer.data(),
                       std::min(static_cast<std::size_t>(got), errors_limit - errors_.size()));
    }
}

std::size_t PipedProcess::read(std::span<std::byte> buffer) {
    while (output_.valid() || error_output_.valid()) {
        check_cancellation();
        std::array<pollfd, 2> news{pollfd{output_.get(), POLLIN, 0},
                                   pollfd{error_output_.get(), POLLIN, 0}};
        if (poll(news.data(), news.size(), tick_milliseconds) <= 0) {
            continue;
        }
        if (news[1].revents != 0) {
            read_errors();
        }
        if (news[0].revents == 0) {
            continue;
        }
        const ssize_t got = ::read(output_.get(), buffer.data(), buffer.size());
        if (got > 0) {
            return static_cast<std::size_t>(got);
        }
        if (got == 0) {
            output_.reset();
        } else if (errno != EINTR) {
            throw system_error("cannot read what a program writes", errno);
        }
    }
    return 0;
}

ExitStatus PipedProcess::wait() {
    if (pid_ > 0) {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        pid_ = -1;
    }
    return status_;
}

}  // namespace drunner
