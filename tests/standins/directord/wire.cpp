#include "wire.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace standin {
namespace {

constexpr std::size_t largest_frame = 1U << 20U;
constexpr int backlog = 64;
constexpr time_t silence_limit = 30;

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// The first of a name's addresses that the function can use.
template <typename Use>
Socket with_address(const char* host, int port, int flags, const Use& use) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
    if (code != 0) {
        throw std::runtime_error(std::string("cannot find ") + (host == nullptr ? "*" : host) +
                                 ": " + gai_strerror(code));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    int error = 0;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        Socket socket(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (socket.get() >= 0 && use(socket, *one)) {
            return socket;
        }
        error = errno;
    }
    errno = error;
    fail("port " + std::to_string(port));
}

void limit_silence(const Socket& socket) {
    const timeval limit{silence_limit, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("the path of the socket is too long: " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

}  // namespace

Socket::~Socket() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

Socket listen_tcp(const std::string& address, int port) {
    return with_address(address == "*" ? nullptr : address.c_str(), port, AI_PASSIVE,
                        [](const Socket& socket, const addrinfo& one) {
                            const int yes = 1;
                            ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
                            return ::bind(socket.get(), one.ai_addr, one.ai_addrlen) == 0 &&
                                   ::listen(socket.get(), backlog) == 0;
                        });
}

Socket listen_unix(const std::string& path) {
    const sockaddr_un address = unix_address(path);
    ::unlink(path.c_str());
    Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), backlog) != 0) {
        fail(path);
    }
    return socket;
}

Socket connect_tcp(const std::string& host, int port) {
    Socket socket =
        with_address(host.c_str(), port, 0, [](const Socket& candidate, const addrinfo& one) {
            return ::connect(candidate.get(), one.ai_addr, one.ai_addrlen) == 0;
        });
    limit_silence(socket);
    return socket;
}

Socket connect_unix(const std::string& path) {
    const sockaddr_un address = unix_address(path);
    Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        fail(path);
    }
    return socket;
}

Socket accept_from(const Socket& listener) {
    const int descriptor = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) {
        fail("accept");
    }
    Socket socket(descriptor);
    limit_silence(socket);
    return socket;
}

void write_all(const Socket& socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            throw std::runtime_error("the peer takes nothing more");
        }
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

std::string read_exactly(const Socket& socket, std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
        const ssize_t got = ::recv(socket.get(), bytes.data() + have, count - have, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            throw std::runtime_error("the peer says nothing more");
        }
        have += static_cast<std::size_t>(got);
    }
    return bytes;
}

void write_frame(const Socket& socket, std::string_view message) {
    if (message.size() > largest_frame) {
        throw std::runtime_error("a message is too long");
    }
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) {
        bytes += static_cast<char>((message.size() >> static_cast<unsigned>(shift)) & 0xFFU);
    }
    write_all(socket, bytes.append(message));
}

std::string read_frame(const Socket& socket) {
    std::size_t size = 0;
    for (const char byte : read_exactly(socket, 4)) {
        size = size << 8U | static_cast<std::uint8_t>(byte);
    }
    if (size > largest_frame) {
        throw std::runtime_error("a message is too long");
    }
    return read_exactly(socket, size);
}

bool readable(const Socket& socket, int milliseconds) {
    pollfd one{socket.get(), POLLIN, 0};
    return ::poll(&one, 1, milliseconds) > 0;
}

}  // namespace standin
