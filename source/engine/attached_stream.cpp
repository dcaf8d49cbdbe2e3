#include "engine/attached_stream.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/engine_streams.hpp"
#include "engine/http.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// How soon a wait notices cancellation and a terminal of another size.
constexpr int tick_milliseconds = 100;
constexpr std::size_t longest_head = 64U << 10U;
constexpr std::size_t part = 32U << 10U;

FileDescriptor connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        throw socket_error(path, ENAMETOOLONG);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.valid() ||
        connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        throw socket_error(path, errno);
    }
    return fd;
}

Error ended_early(const std::string& why) {
    return Error(ErrorKind::engine_unreachable, "the container engine's answer ended early: " + why,
                 "systemctl status docker");
}

// Waits until the descriptor is ready for `events`, or a tick is over.
bool is_ready(int fd, short events) {
    check_cancellation();
    pollfd one{fd, events, 0};
    return poll(&one, 1, tick_milliseconds) > 0;
}

// How much of it the peer took; 0 where it takes nothing now.
std::size_t send_some(int fd, std::string_view text) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        throw ended_early(std::strerror(errno));
    }
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        is_ready(fd, POLLOUT);
        text.remove_prefix(send_some(fd, text));
    }
}

// Empty at the end of the stream.
std::string_view receive(int fd, std::array<char, part>& buffer) {
    while (true) {
        const ssize_t length = read(fd, buffer.data(), buffer.size());
        if (length >= 0) {
            return {buffer.data(), static_cast<std::size_t>(length)};
        }
        if (errno != EINTR) {
            throw ended_early(std::strerror(errno));
        }
        check_cancellation();
    }
}

// Reads the answer's head; what came behind it is the program's first output.
std::string read_head(int fd) {
    std::string head;
    std::array<char, part> buffer{};
    std::size_t end = std::string::npos;
    while ((end = head.find("\r\n\r\n")) == std::string::npos) {
        if (!is_ready(fd, POLLIN)) {
            continue;
        }
        const std::string_view more = receive(fd, buffer);
        if (more.empty() || head.size() > longest_head) {
            throw ended_early("no complete head");
        }
        head += more;
    }
    int status = 0;
    if (std::sscanf(head.c_str(), "HTTP/%*d.%*d %d", &status) != 1 ||
        (status != 101 && status != 200)) {
        throw Error(ErrorKind::engine_refused,
                    "cannot run a program in the container: " +
                        printable(trim(head.substr(end).substr(0, 500))));
    }
    return head.substr(end + 4);
}

}  // namespace

void attach(const AttachCall& call, const ExecRequest& request,
            const std::function<void(unsigned, unsigned)>& resize, const ByteSink& out,
            const ByteSink& err) {
    const FileDescriptor connection = connect_to(call.socket);
    const int engine = connection.get();
    send_all(engine, fmt::format("POST {} HTTP/1.1\r\nHost: engine\r\nUser-Agent: drunner\r\n"
                                 "Content-Type: application/json\r\nContent-Length: {}\r\n"
                                 "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n{}",
                                 call.path, call.body.size(), call.body));
    LogFrames frames(out, err);
    const auto take = [&](std::string_view text) {
        if (request.terminal) {
            out(as_bytes(text));
        } else {
            frames.write(as_bytes(text));
        }
    };
    take(read_head(engine));

    std::array<char, part> buffer{};
    std::pair<unsigned, unsigned> known{0, 0};
    int input = request.input;
    // What the program has not taken yet. It is sent while its output is read: a program that
    // writes as much as it reads would otherwise wait for us, and we for it.
    std::string unsent;
    while (true) {
        if (request.terminal && request.size) {
            if (const auto size = request.size(); size != known && size.first > 0) {
                resize(size.first, size.second);
                known = size;
            }
        }
        check_cancellation();
        const short wanted = unsent.empty() ? POLLIN : POLLIN | POLLOUT;
        std::array<pollfd, 2> waiting{pollfd{engine, wanted, 0},
                                      pollfd{unsent.empty() ? input : -1, POLLIN, 0}};
        if (poll(waiting.data(), waiting.size(), tick_milliseconds) <= 0) {
            continue;
        }
        if ((waiting[0].revents & POLLOUT) != 0 && !unsent.empty()) {
            unsent.erase(0, send_some(engine, unsent));
        }
        if ((waiting[0].revents & ~POLLOUT) != 0) {
            const std::string_view text = receive(engine, buffer);
            if (text.empty()) {
                break;
            }
            take(text);
        }
        if (waiting[1].revents != 0) {
            const ssize_t length = read(input, buffer.data(), buffer.size());
            if (length > 0) {
                unsent.assign(buffer.data(), static_cast<std::size_t>(length));
            } else if (length == 0 || errno != EINTR) {
                shutdown(engine, SHUT_WR);
                input = -1;
            }
        }
    }
    if (!request.terminal && !frames.complete()) {
        throw ended_early("in the middle of a frame");
    }
}

}  // namespace drunner
