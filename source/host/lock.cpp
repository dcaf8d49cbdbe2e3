#include "host/lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <thread>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/process.hpp"
#include "host/write_ban.hpp"

namespace drunner {
namespace {

constexpr std::chrono::milliseconds poll_interval{50};
// All of the file is read at once, so a command line must not fill it.
constexpr std::size_t longest_content = 4096;
constexpr std::size_t longest_command = 1000;

// The file's content: "PID START SINCE\nCOMMAND\n", START as process_start_time() says it, SINCE in
// seconds since 1970; and "CHILD\n" where a child is admitted.
struct Holder {
    pid_t pid = 0;
    unsigned long long start_time = 0;
    long long since = 0;
    std::string command;
    pid_t admitted = 0;
};

template <typename Number>
bool take_number(std::string_view& text, char end, Number& number) {
    const char* last = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), last, number);
    if (error != std::errc() || stop == last || *stop != end) {
        return false;
    }
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
    return true;
}

bool lives(const Holder& holder) {
    const ProcessStat stat = process_stat(holder.pid);
    return stat.start_time == holder.start_time && stat.state != 'Z' && stat.state != 'X';
}

// Empty where the content names no process that lives: a holder that was killed leaves its name
// behind, though not its lock.
std::optional<Holder> read_holder(int fd) {
    std::array<char, longest_content> buffer{};
    const ssize_t length = pread(fd, buffer.data(), buffer.size(), 0);
    if (length <= 0) {
        return std::nullopt;
    }
    std::string_view text(buffer.data(), static_cast<std::size_t>(length));
    Holder holder;
    if (!take_number(text, ' ', holder.pid) || !take_number(text, ' ', holder.start_time) ||
        !take_number(text, '\n', holder.since) || holder.start_time == 0 || !lives(holder)) {
        return std::nullopt;
    }
    const std::size_t end = std::min(text.find('\n'), text.size());
    holder.command = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    take_number(text, '\n', holder.admitted);
    return holder;
}

void write_holder(int fd, const std::string& command) {
    const pid_t pid = getpid();
    const std::string text =
        fmt::format("{} {} {}\n{}\n", pid, process_start_time(pid), std::time(nullptr),
                    printable(command).substr(0, longest_command));
    // Where the name cannot be written (a full disk) the lock still holds.
    [[maybe_unused]] const bool written =
        ftruncate(fd, 0) == 0 && pwrite(fd, text.data(), text.size(), 0) > 0;
}

bool admits_us(const Holder& holder) {
    pid_t parent = 0;
    for (pid_t pid = getpid(); holder.admitted > 0 && pid > 0; pid = parent) {
        parent = process_stat(pid).parent;
        if (pid == holder.admitted && parent == holder.pid) {
            return true;
        }
    }
    return false;
}

std::string describe(const Holder& holder) {
    const long long age = std::max(0LL, static_cast<long long>(std::time(nullptr)) - holder.since);
    const std::string shown = age < 120    ? fmt::format("{} s", age)
                              : age < 7200 ? fmt::format("{} min", age / 60)
                                           : fmt::format("{} h", age / 3600);
    return fmt::format("pid {}, '{}', {} ago", holder.pid, printable(holder.command), shown);
}

FileDescriptor open_lock_file(const std::string& path) {
    WriteBan::require_none(path);
    make_directories(parent_of(path));
    FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) {
        throw system_error("cannot open the lock '" + path + "'", errno);
    }
    return fd;
}

// False where somebody removed the file between open and flock: the lock is on no name then.
bool still_stands(int fd, const std::string& path) {
    struct stat ours {};
    struct stat named {};
    return fstat(fd, &ours) == 0 && lstat(path.c_str(), &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace

FileLock FileLock::acquire(const std::string& path, const std::string& command,
                           std::chrono::seconds wait) {
    const auto deadline = std::chrono::steady_clock::now() + wait;
    FileLock lock;
    while (true) {
        FileDescriptor fd = open_lock_file(path);
        if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            if (!still_stands(fd.get(), path)) {
                continue;
            }
            write_holder(fd.get(), command);
            lock.fd_ = std::move(fd);
            return lock;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            throw system_error("cannot lock '" + path + "'", errno);
        }
        const std::optional<Holder> holder = read_holder(fd.get());
        if (holder && admits_us(*holder)) {
            lock.nested_ = true;
            return lock;
        }
        check_cancellation();
        if (std::chrono::steady_clock::now() >= deadline) {
            throw Error(ErrorKind::locked,
                        "'" + path + "' is locked by " +
                            (holder ? describe(*holder) : std::string("another process")),
                        "wait for it with --wait SECONDS");
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

FileLock::~FileLock() {
    // While the lock is still held: so a name in the file is always that of a holder, or of a
    // process that was killed.
    if (fd_.valid()) {
        [[maybe_unused]] const int result = ftruncate(fd_.get(), 0);
    }
}

void FileLock::admit(pid_t child) const {
    std::array<char, longest_content> buffer{};
    const ssize_t length = pread(fd_.get(), buffer.data(), buffer.size(), 0);
    const std::string_view content(buffer.data(),
                                   static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    const std::size_t end = content.find('\n', content.find('\n') + 1) + 1;
    const std::string text = fmt::format("{}\n", child);
    // Where it cannot be written the child is refused, as everybody is.
    [[maybe_unused]] const bool written =
        end > 0 && ftruncate(fd_.get(), static_cast<off_t>(end)) == 0 &&
        pwrite(fd_.get(), text.data(), text.size(), static_cast<off_t>(end)) > 0;
}

std::string FileLock::holder(const std::string& path) {
    const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const std::optional<Holder> holder = fd.valid() ? read_holder(fd.get()) : std::nullopt;
    return holder && !admits_us(*holder) ? describe(*holder) : std::string();
}

}  // namespace drunner
