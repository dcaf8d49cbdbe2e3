#include "fakes/scripted_peer.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "core/text.hpp"

namespace drunner::test {
namespace {

constexpr int tick_ms = 10;

std::string head(int status, const std::string& header) {
    return fmt::format("HTTP/1.1 {} Scripted\r\n{}\r\n", status, header);
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

// The body of what was received behind the headers, nothing while it is not whole.
std::optional<std::string> whole_body(const PeerRequest& request, std::string_view received) {
    const auto header = [&](const char* name) {
        const auto found = request.headers.find(name);
        return found == request.headers.end() ? std::string() : found->second;
    };
    if (header("transfer-encoding") != "chunked") {
        const std::string length = header("content-length");
        const std::size_t size = length.empty() ? 0 : std::stoul(length);
        return received.size() < size ? std::nullopt
                                      : std::optional(std::string(received.substr(0, size)));
    }
    std::string body;
    while (true) {
        const std::size_t line_end = received.find("\r\n");
        if (line_end == std::string_view::npos) {
            return std::nullopt;
        }
        const std::size_t size = std::stoul(std::string(received.substr(0, line_end)), nullptr, 16);
        if (received.size() < line_end + 2 + size + 2) {
            return std::nullopt;
        }
        if (size == 0) {
            return body;
        }
        body += received.substr(line_end + 2, size);
        received.remove_prefix(line_end + 2 + size + 2);
    }
}

}  // namespace

PeerReply reply(int status, const std::string& body, const std::vector<std::string>& headers) {
    std::string lines = fmt::format("Content-Length: {}\r\n", body.size());
    for (const std::string& line : headers) {
        lines += line + "\r\n";
    }
    return {head(status, lines) + body, PeerReply::After::keep};
}

PeerReply chunked(int status, const std::vector<std::string>& chunks, bool complete) {
    PeerReply answer{head(status, "Transfer-Encoding: chunked\r\n"), PeerReply::After::keep};
    for (const std::string& chunk : chunks) {
        answer.bytes += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
    }
    if (complete) {
        answer.bytes += "0\r\n\r\n";
    } else {
        answer.after = PeerReply::After::close;
    }
    return answer;
}

ScriptedPeer::ScriptedPeer(const std::string& socket, Script script)
    : script_(std::move(script)),
      listener_(::socket(socket.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    int bound = -1;
    if (socket.empty()) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bound = bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        socklen_t size = sizeof address;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    } else {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
        bound = bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    if (bound != 0 || listen(listener_, 16) != 0) {
        throw std::runtime_error("scripted peer: cannot listen");
    }
    accepting_ = std::thread([this] { accept_all(); });
}

ScriptedPeer::~ScriptedPeer() {
    stopping_ = true;
    accepting_.join();
    for (std::thread& connection : connections_) {
        connection.join();
    }
    close(listener_);
}

std::vector<PeerRequest> ScriptedPeer::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

// False when the peer is to end.
bool ScriptedPeer::wait_readable(int fd) const {
    while (!stopping_) {
        pollfd waited{fd, POLLIN, 0};
        if (poll(&waited, 1, tick_ms) > 0) {
            return true;
        }
    }
    return false;
}

void ScriptedPeer::accept_all() {
    while (wait_readable(listener_)) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        most_open_ = std::max<unsigned>(most_open_, ++open_);
        const unsigned number = static_cast<unsigned>(connections_.size()) + 1;
        connections_.emplace_back([this, fd, number] {
            serve(fd, number);
            close(fd);
            --open_;
        });
    }
}

void ScriptedPeer::serve(int fd, unsigned number) {
    std::string received;
    while (wait_readable(fd)) {
        std::array<char, 65536> buffer{};
        const ssize_t count = read(fd, buffer.data(), buffer.size());
        if (count <= 0) {
            return;
        }
        received.append(buffer.data(), static_cast<std::size_t>(count));
        constexpr char tls_handshake = '\x16';
        if (received.front() == tls_handshake) {
            return;
        }
        const std::size_t head_end = received.find("\r\n\r\n");
        if (head_end == std::string::npos) {
            continue;
        }
        PeerRequest request;
        request.connection = number;
        const auto lines = split(std::string_view(received).substr(0, head_end), '\n');
        const auto words = split(trim(lines.front()), ' ');
        if (words.size() != 3) {
            return;
        }
        request.method = words[0];
        request.path = words[1];
        for (const std::string& line : lines) {
            if (const std::size_t colon = line.find(':'); colon != std::string::npos) {
                request.headers[to_lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
            }
        }
        const auto body = whole_body(request, std::string_view(received).substr(head_end + 4));
        if (!body) {
            continue;
        }
        request.body = *body;
        received.clear();
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(request);
        }
        const PeerReply answer = script_(request);
        if (send(fd, answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL) < 0 ||
            answer.after == PeerReply::After::close) {
            return;
        }
        while (answer.after == PeerReply::After::hang && wait_readable(fd)) {
            if (read(fd, buffer.data(), buffer.size()) <= 0) {
                return;
            }
        }
    }
}

}  // namespace drunner::test
