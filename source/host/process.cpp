#include "host/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/exec_pointers.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often a wait looks for a cancellation, and at the terminal, when nothing else wakes it.
constexpr milliseconds tick{50};
// How long output may still come from what a program left running in the background.
constexpr milliseconds drain_grace{1000};
constexpr int exec_failed = 127;

// True while a process of the group runs; zombies do not.
bool group_runs(pid_t group) {
    for (const std::string& name : directory_entries("/proc")) {
        pid_t pid = 0;
        const char* end = name.data() + name.size();
        if (const auto [stop, error] = std::from_chars(name.data(), end, pid);
            error != std::errc() || stop != end) {
            continue;
        }
        const ProcessStat stat = process_stat(pid);
        if (stat.group == group && stat.state != 'Z' && stat.state != 'X') {
            return true;
        }
    }
    return false;
}

ExitStatus shell_status(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

// Only async-signal-safe calls, from here to exec: the child of a process with threads may do
// nothing else.
void reset_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) {
        sigaction(number, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void report_and_exit(int channel, int error) {
    [[maybe_unused]] const ssize_t written = write(channel, &error, sizeof(error));
    _exit(exec_failed);
}

Error cannot_run(const std::string& program, int error) {
    if (error == ENOENT && exists(program)) {
        return Error(
            ErrorKind::system,
            "cannot run '" + program + "': the interpreter that its first line names is missing");
    }
    if (error == ENOEXEC) {
        return Error(ErrorKind::system,
                     "cannot run '" + program + "': it is neither a program nor begins with '#!'");
    }
    return system_error("cannot run '" + program + "'", error);
}

// A pseudo-terminal at whose other end nobody types: every read of it is at end of file, for as
// long as refill() is called. A real terminal, because many images call `docker run -it`.
class SilentTerminal {
  public:
    SilentTerminal() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)) {
        std::array<char, 64> name{};
        if (!master_.valid() || grantpt(master_.get()) != 0 || unlockpt(master_.get()) != 0 ||
            ptsname_r(master_.get(), name.data(), name.size()) != 0) {
            throw system_error("cannot make a pseudo-terminal", errno);
        }
        // Ours stays open as long as this object, so that the master never sees a hang-up.
        slave_.reset(open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
        termios modes{};
        if (!slave_.valid() || tcgetattr(slave_.get(), &modes) != 0) {
            throw system_error("cannot open the pseudo-terminal", errno);
        }
        modes.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
        modes.c_lflag |= ICANON;
        modes.c_cc[VEOF] = end_of_file;
        winsize size{};
        size.ws_row = 24;
        size.ws_col = 80;
        if (tcsetattr(slave_.get(), TCSANOW, &modes) != 0 ||
            ioctl(slave_.get(), TIOCSWINSZ, &size) != 0) {
            throw system_error("cannot set up the pseudo-terminal", errno);
        }
        refill();
    }

    int slave() const { return slave_.get(); }
    int master() const { return master_.get(); }

    // Puts ends of file in where they have been read: also for a program like `docker run -it` that
    // switched to raw mode and hands the characters on to a terminal of its own.
    void refill() {
        pollfd readable{slave_.get(), POLLIN, 0};
        if (poll(&readable, 1, 0) == 0) {
            [[maybe_unused]] const ssize_t written =
                write(master_.get(), ends_of_file.data(), ends_of_file.size());
        }
    }

    // Throws away what was written to the terminal, so that the writer never waits.
    void drain() {
        std::array<char, 4096> buffer{};
        while (read(master_.get(), buffer.data(), buffer.size()) > 0) {
        }
    }

  private:
    static constexpr char end_of_file = 4;
    // Few: one that waits when a program switches to raw mode reaches that program as a NUL.
    static constexpr std::array<char, 4> ends_of_file{end_of_file, end_of_file, end_of_file,
                                                      end_of_file};

    FileDescriptor master_;
    FileDescriptor slave_;
};

// A child in a process group of its own, killed and reaped where an exception leaves it behind.
class GroupChild {
  public:
    explicit GroupChild(pid_t pid) : pid_(pid) {}
    GroupChild(const GroupChild&) = delete;
    GroupChild& operator=(const GroupChild&) = delete;
    ~GroupChild() {
        if (!status_) {
            signal_group(SIGKILL);
            wait();
        }
    }

    pid_t pid() const { return pid_; }
    void signal_group(int number) const { kill(-pid_, number); }
    // Leaves it a zombie, so that its pid and group stay its own until wait().
    bool has_ended() const {
        siginfo_t info{};
        return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == pid_;
    }
    ExitStatus wait() {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        status_ = shell_status(status);
        return *status_;
    }

  private:
    pid_t pid_;
    std::optional<ExitStatus> status_;
};

struct Pair {
    FileDescriptor ours;
    FileDescriptor childs;
};

Pair make_pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error("cannot make a pipe", errno);
    }
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Pair make_channel() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        throw system_error("cannot make a socket pair", errno);
    }
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// Bytes read, 0 at the end, -1 where there is nothing now.
ssize_t read_some(int fd, std::string& buffer) {
    buffer.resize(65536);
    ssize_t got = 0;
    do {
        got = read(fd, buffer.data(), buffer.size());
    } while (got < 0 && errno == EINTR);
    buffer.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return got;
}

ssize_t read_retrying(int fd, void* bytes, std::size_t size) {
    ssize_t got = 0;
    do {
        got = read(fd, bytes, size);
    } while (got < 0 && errno == EINTR);
    return got;
}

// The child: makes the session and, in it, the process that becomes the program, whose pid it
// sends. That one is no session leader, and so cannot take its stdin for its controlling terminal,
// as bash would: at its end the kernel would then hang up on everything it leaves running.
[[noreturn]] void become(const BoundedProcess& process, char* const* arguments,
                         char* const* environment, int channel, int input, int output) {
    // First above 9, so that the order of the three does not matter. Nothing else of the parent's
    // stays open in what waits here: its lock would be held on, and its end of the channel would
    // keep the channel from ending with it.
    constexpr int own_channel = 3;
    const int safe_channel = fcntl(channel, F_DUPFD, 10);
    const int safe_input = fcntl(input, F_DUPFD, 10);
    const int safe_output = fcntl(output, F_DUPFD, 10);
    if (safe_channel < 0 || dup2(safe_input, 0) < 0 || dup2(safe_output, 1) < 0 ||
        dup2(safe_output, 2) < 0 || dup3(safe_channel, own_channel, O_CLOEXEC) < 0 ||
        syscall(SYS_close_range, own_channel + 1U, ~0U, 0U) != 0) {
        _exit(exec_failed);
    }
    setsid();
    // A child of this process's parent, which waits for it; like fork() in everything else.
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) != 0) {
        _exit(exec_failed);
    }
    const pid_t own = getpid();
    char word = 0;
    // The parent records the group before anything runs in it; where it dies, the channel ends.
    if (setpgid(0, 0) != 0 || write(own_channel, &own, sizeof(own)) != sizeof(own) ||
        read(own_channel, &word, 1) != 1) {
        _exit(exec_failed);
    }
    reset_signals();
    umask(022);
    if (chdir(process.directory.c_str()) != 0) {
        report_and_exit(own_channel, errno);
    }
    execve(arguments[0], arguments, environment);
    report_and_exit(own_channel, errno);
}

}  // namespace

ProcessStat process_stat(pid_t pid) {
    std::string text;
    try {
        text = read_file("/proc/" + std::to_string(pid) + "/stat");
    } catch (const Error&) {
        return {};
    }
    // The second field is the program's name in parentheses and may hold anything.
    const std::size_t name_end = text.rfind(')');
    ProcessStat stat;
    if (name_end == std::string::npos ||
        sscanf(text.c_str() + name_end + 1,
               " %c %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
               &stat.state, &stat.parent, &stat.group, &stat.start_time) != 4) {
        return {};
    }
    return stat;
}

Caller caller() {
    const char* sudo_user = std::getenv("SUDO_USER");
    return {getuid(), sudo_user == nullptr ? std::string() : std::string(sudo_user)};
}

std::vector<std::string> own_environment() {
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        environment.emplace_back(*variable);
    }
    return environment;
}

unsigned long long process_start_time(pid_t pid) {
    return process_stat(pid).start_time;
}

BoundedResult run_bounded(const BoundedProcess& process) {
    check_cancellation();
    SilentTerminal terminal;
    Pair output = make_pipe();
    Pair channel = make_channel();
    std::vector<std::string> arguments = process.arguments;
    std::vector<std::string> environment = process.environment;
    const std::vector<char*> argument_pointers = exec_pointers(arguments);
    const std::vector<char*> environment_pointers = exec_pointers(environment);

    const pid_t session = fork();
    if (session < 0) {
        throw system_error("cannot start '" + process.arguments[0] + "'", errno);
    }
    if (session == 0) {
        become(process, argument_pointers.data(), environment_pointers.data(), channel.childs.get(),
               process.input < 0 ? terminal.slave() : process.input, output.childs.get());
    }
    channel.childs.reset();
    output.childs.reset();
    while (waitpid(session, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_t pid = 0;
    if (read_retrying(channel.ours.get(), &pid, sizeof(pid)) != sizeof(pid)) {
        throw Error(ErrorKind::system, "cannot start '" + process.arguments[0] + "'");
    }
    GroupChild child(pid);
    const char word = 0;
    int error = 0;
    if (process.started) {
        process.started(pid);
    }
    const auto start = SteadyClock::now();
    if (send(channel.ours.get(), &word, 1, MSG_NOSIGNAL) == 1 &&
        read_retrying(channel.ours.get(), &error, sizeof(error)) == sizeof(error)) {
        throw cannot_run(process.arguments[0], error);
    }
    channel.ours.reset();

    const FileDescriptor ended(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!ended.valid() || fcntl(output.ours.get(), F_SETFL, O_NONBLOCK) != 0) {
        throw system_error("cannot watch '" + process.arguments[0] + "'", errno);
    }

    std::string bytes;
    // One piece at a time: output that never ends must not keep the loop from its other duties.
    const auto pass_output_on = [&] {
        const ssize_t got = output.ours.valid() ? read_some(output.ours.get(), bytes) : -1;
        if (got == 0) {
            output.ours.reset();
        } else if (got > 0 && process.output) {
            process.output(bytes);
        }
    };
    const auto wait_for_news = [&](bool for_its_end) {
        std::array<pollfd, 3> news{pollfd{output.ours.get(), POLLIN, 0},
                                   pollfd{terminal.master(), POLLIN, 0},
                                   pollfd{for_its_end ? ended.get() : -1, POLLIN, 0}};
        poll(news.data(), news.size(), static_cast<int>(tick.count()));
        terminal.drain();
        terminal.refill();
    };

    BoundedResult result;
    bool cancelled = false;
    std::optional<SteadyClock::time_point> kill_at;
    while (!child.has_ended() || (kill_at && group_runs(pid))) {
        wait_for_news(!kill_at);
        pass_output_on();
        const auto now = SteadyClock::now();
        if (!kill_at) {
            cancelled = pending_cancellation() != 0;
            result.timed_out = !cancelled && process.limit.count() > 0 &&
                               now - start >= process.limit && !child.has_ended();
            if (cancelled || result.timed_out) {
                child.signal_group(SIGTERM);
                // A stopped process does not see the signal before it goes on.
                child.signal_group(SIGCONT);
                kill_at = now + process.grace;
            }
        } else if (now >= *kill_at) {
            child.signal_group(SIGKILL);
        }
    }
    pass_output_on();
    const auto drain_until = SteadyClock::now() + drain_grace;
    while (output.ours.valid() && SteadyClock::now() < drain_until) {
        wait_for_news(false);
        pass_output_on();
    }
    result.status = child.wait();
    if (cancelled) {
        check_cancellation();
    }
    return result;
}

void end_process_group(pid_t group, unsigned long long start_time, std::chrono::seconds grace) {
    if (start_time == 0 || process_start_time(group) != start_time) {
        return;
    }
    kill(-group, SIGTERM);
    kill(-group, SIGCONT);
    const auto kill_at = SteadyClock::now() + grace;
    while (group_runs(group)) {
        if (SteadyClock::now() >= kill_at) {
            kill(-group, SIGKILL);
        }
        std::this_thread::sleep_for(tick / 4);
    }
}

namespace {

std::atomic<pid_t> attached_child{0};

void pass_on(int number) {
    const int saved = errno;
    if (const pid_t child = attached_child.load(); child > 0) {
        kill(child, number);
    }
    errno = saved;
}

// The signals of this process while an attached child runs; the caller's own come back.
class AttachedSignals {
  public:
    AttachedSignals() {
        struct sigaction action {};
        sigemptyset(&action.sa_mask);
        action.sa_flags = SA_RESTART;
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            action.sa_handler = numbers[i] == SIGINT || numbers[i] == SIGQUIT ? SIG_IGN : pass_on;
            sigaction(numbers[i], &action, &before_[i]);
        }
    }
    ~AttachedSignals() {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            sigaction(numbers[i], &before_[i], nullptr);
        }
        attached_child.store(0);
    }
    AttachedSignals(const AttachedSignals&) = delete;
    AttachedSignals& operator=(const AttachedSignals&) = delete;

    static constexpr std::array<int, 4> numbers{SIGINT, SIGQUIT, SIGTERM, SIGHUP};

  private:
    std::array<struct sigaction, 4> before_{};
};

}  // namespace

ExitStatus run_attached(const std::vector<std::string>& arguments,
                        const std::vector<std::string>& environment) {
    std::vector<std::string> words = arguments;
    std::vector<std::string> variables = environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view inherited = *entry;
        const std::string_view key = inherited.substr(0, inherited.find('='));
        const bool replaced =
            std::any_of(environment.begin(), environment.end(), [&](const std::string& variable) {
                return variable.substr(0, variable.find('=')) == key;
            });
        if (!replaced) {
            variables.emplace_back(inherited);
        }
    }
    const std::vector<char*> word_pointers = exec_pointers(words);
    const std::vector<char*> variable_pointers = exec_pointers(variables);
    Pair channel = make_pipe();

    // A signal that comes before the child is known waits until it is.
    sigset_t forwarded;
    sigset_t before;
    sigemptyset(&forwarded);
    for (const int number : AttachedSignals::numbers) {
        sigaddset(&forwarded, number);
    }
    sigprocmask(SIG_BLOCK, &forwarded, &before);
    const AttachedSignals signals;
    const pid_t pid = fork();
    if (pid == 0) {
        reset_signals();
        execve(word_pointers[0], word_pointers.data(), variable_pointers.data());
        report_and_exit(channel.childs.get(), errno);
    }
    const int fork_error = errno;
    attached_child.store(pid);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
        throw system_error("cannot start '" + arguments[0] + "'", fork_error);
    }
    channel.childs.reset();
    int error = 0;
    const bool failed = read_retrying(channel.ours.get(), &error, sizeof(error)) == sizeof(error);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (failed) {
        throw cannot_run(arguments[0], error);
    }
    return shell_status(status);
}

}  // namespace drunner
