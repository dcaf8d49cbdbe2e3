#include "host/piped_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/cancellation.hpp"
#include "core/error.hpp"

namespace drunner {
namespace {

constexpr std::size_t input_limit = 4096;  // PIPE_BUF: it fits into a pipe that nobody reads
constexpr std::size_t errors_limit = 8192;
constexpr int tick_milliseconds = 200;

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

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (std::string& word : words) {
        result.push_back(word.data());
    }
    result.push_back(nullptr);
    return result;
}

// What the child does before it becomes the program.
class SpawnPlan {
  public:
    SpawnPlan(int input, int output, int errors) {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        sigset_t all;
        sigset_t none;
        sigfillset(&all);
        sigemptyset(&none);
        failed_ =
            posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO) != 0 ||
            posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO) != 0 ||
            posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO) != 0 ||
            posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1) != 0 ||
            posix_spawnattr_setsigdefault(&attributes_, &all) != 0 ||
            posix_spawnattr_setsigmask(&attributes_, &none) != 0 ||
            posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                                       POSIX_SPAWN_SETSIGMASK) != 0;
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    // Of posix_spawn(3): an error number, 0 where it runs.
    int spawn(pid_t& pid, const PipedStart& start) const {
        if (failed_) {
            return ENOMEM;
        }
        std::vector<std::string> arguments = start.arguments;
        std::vector<std::string> environment = start.environment;
        return posix_spawn(&pid, arguments[0].c_str(), &actions_, &attributes_,
                           pointers(arguments).data(), pointers(environment).data());
    }

  private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
    bool failed_ = false;
};

void limit(pid_t pid, __rlimit_resource resource, rlim_t value) {
    const rlimit bounds{value, value};
    if (prlimit(pid, resource, &bounds, nullptr) != 0) {
        throw system_error("cannot limit what a program may use", errno);
    }
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
    const SpawnPlan plan(input.reading.get(), output.writing.get(), errors.writing.get());
    if (const int error = plan.spawn(pid_, start); error != 0) {
        pid_ = -1;
        throw system_error("cannot run '" + start.arguments[0] + "'", error);
    }
    output_ = std::move(output.reading);
    error_output_ = std::move(errors.reading);
    limit(pid_, RLIMIT_FSIZE, 0);
    limit(pid_, RLIMIT_CORE, 0);
    if (start.memory > 0) {
        limit(pid_, RLIMIT_AS, start.memory);
    }
    if (write(input.writing.get(), start.input.data(), start.input.size()) !=
        static_cast<ssize_t>(start.input.size())) {
        throw system_error("cannot write to '" + start.arguments[0] + "'", errno);
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
