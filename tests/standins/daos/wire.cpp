#include "wire.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace standin {
namespace {

constexpr std::size_t longest_line = 4096;
constexpr int backlog = 64;
constexpr mode_t everybody = 0666;

std::runtime_error failure(const std::string& what) {
    return std::runtime_error(what + ": " + std::strerror(errno));
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        throw std::runtime_error("the path of the socket is too long: " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

Socket make_socket() {
    Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) {
        throw failure("cannot make a socket");
    }
    return socket;
}

}  // namespace

Socket::Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Socket::~Socket() {
    if (valid()) {
        close(fd_);
    }
}

Socket listen_at(const std::string& path) {
    const sockaddr_un address = address_of(path);
    Socket socket = make_socket();
    unlink(path.c_str());
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        chmod(path.c_str(), everybody) != 0 || listen(socket.get(), backlog) != 0) {
        throw failure("cannot listen at " + path);
    }
    return socket;
}

Socket connect_to(const std::string& path) {
    const sockaddr_un address = address_of(path);
    Socket socket = make_socket();
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        throw failure("cannot connect to the agent at " + path);
    }
    return socket;
}

Peer peer_of(const Socket& socket) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        throw failure("cannot ask who connected");
    }
    return {credentials.pid, credentials.uid, credentials.gid};
}

std::string read_line(const Socket& socket, std::chrono::seconds patience) {
    const auto end = std::chrono::steady_clock::now() + patience;
    std::string line;
    while (line.size() < longest_line) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        pollfd readable{socket.get(), POLLIN, 0};
        char c = 0;
        if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) <= 0 ||
            read(socket.get(), &c, 1) != 1) {
            return {};
        }
        if (c == '\n') {
            return line;
        }
        line += c;
    }
    return {};
}

void write_line(const Socket& socket, const std::string& line) {
    const std::string bytes = line + "\n";
    if (send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
        throw failure("cannot answer");
    }
}

}  // namespace standin
