#include "container/line_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <list>
#include <thread>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// How soon a wait notices cancellation.
constexpr int tick_milliseconds = 100;
constexpr int waiting_clients = 32;

FileDescriptor listen_on(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        throw system_error("cannot listen on '" + path + "'", ENAMETOOLONG);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    make_directories(parent_of(path));
    unlink(path.c_str());
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // The mode at once, not afterwards: between the two anybody could connect.
    const mode_t before = umask(0177);
    const bool bound = fd.valid() && bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                                          sizeof(address)) == 0;
    const int error = errno;
    umask(before);
    if (!bound || listen(fd.get(), waiting_clients) != 0) {
        throw system_error("cannot listen on '" + path + "'", bound ? errno : error);
    }
    return fd;
}

bool is_root(int fd) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

bool is_ready(int fd, short events) {
    pollfd one{fd, events, 0};
    return poll(&one, 1, tick_milliseconds) > 0;
}

// False where the client is gone, or does not read while drunner is to end.
bool send_line(int fd, std::string line) {
    line += '\n';
    std::string_view left = line;
    while (!left.empty()) {
        const ssize_t sent = send(fd, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            left.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno != EAGAIN && errno != EINTR) {
            return false;
        } else if (!is_ready(fd, POLLOUT) && pending_cancellation() != 0) {
            return false;
        }
    }
    return true;
}

void serve_client(int fd, const LineServerSettings& settings,
                  const std::function<std::string(std::string_view)>& answer) {
    std::string pending;
    std::array<char, 32768> buffer{};
    while (pending_cancellation() == 0) {
        if (!is_ready(fd, POLLIN)) {
            continue;
        }
        const ssize_t length = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (length <= 0) {
            return;
        }
        pending.append(buffer.data(), static_cast<std::size_t>(length));
        std::size_t start = 0;
        for (std::size_t end = pending.find('\n'); end != std::string::npos;
             end = pending.find('\n', start)) {
            const std::string_view line = std::string_view(pending).substr(start, end - start);
            if (line.size() > settings.longest_line) {
                break;
            }
            if (!send_line(fd, answer(line))) {
                return;
            }
            start = end + 1;
        }
        pending.erase(0, start);
        if (pending.size() > settings.longest_line) {
            send_line(fd, settings.too_long);
            return;
        }
    }
}

// The clients' threads: joined when they have ended, all of them at the end.
class Clients {
  public:
    ~Clients() {
        for (Client& client : clients_) {
            client.thread.join();
        }
    }
    std::size_t count() {
        clients_.remove_if([](Client& client) {
            if (!client.ended) {
                return false;
            }
            client.thread.join();
            return true;
        });
        return clients_.size();
    }
    void add(FileDescriptor fd, const std::function<void(int)>& serve) {
        Client& client = clients_.emplace_back();
        client.thread = std::thread([&client, &serve, fd = std::move(fd)]() mutable {
            serve(fd.get());
            fd.reset();
            client.ended = true;
        });
    }

  private:
    struct Client {
        std::thread thread;
        std::atomic<bool> ended{false};
    };
    std::list<Client> clients_;
};

}  // namespace

void serve_lines(const LineServerSettings& settings,
                 const std::function<std::string(std::string_view line)>& answer,
                 const std::function<void()>& listening) {
    FileDescriptor listener = listen_on(settings.socket);
    const std::function<void(int)> serve = [&](int fd) { serve_client(fd, settings, answer); };
    {
        Clients clients;
        listening();
        while (pending_cancellation() == 0) {
            if (!is_ready(listener.get(), POLLIN)) {
                continue;
            }
            FileDescriptor client(
                accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!client.valid() || !is_root(client.get())) {
                continue;
            }
            if (clients.count() >= settings.clients) {
                send_line(client.get(), settings.busy);
                continue;
            }
            clients.add(std::move(client), serve);
        }
        // Nobody may come any more while the last answers are given.
        unlink(settings.socket.c_str());
        listener.reset();
    }
}

}  // namespace drunner
