#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace standin {

// An open descriptor, closed with its owner.
class Socket {
  public:
    explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
    ~Socket();
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    int get() const { return descriptor_; }

  private:
    int descriptor_;
};

// Listens on a TCP port of every address, or of the one named. Throws std::system_error.
Socket listen_tcp(const std::string& address, int port);

// Listens on a Unix socket; what stands at its path is removed first. Throws std::system_error.
Socket listen_unix(const std::string& path);

// Connects, or throws std::runtime_error that says to what it could not.
Socket connect_tcp(const std::string& host, int port);
Socket connect_unix(const std::string& path);

// The next connection. Throws std::system_error.
Socket accept_from(const Socket& listener);

// All of the bytes, or std::runtime_error. A peer that keeps silent for longer than the limit of
// the socket (30 seconds) is an error, too.
void write_all(const Socket& socket, std::string_view bytes);
std::string read_exactly(const Socket& socket, std::size_t count);

// A message: four bytes of length, the highest first, and at most 1 MiB.
void write_frame(const Socket& socket, std::string_view message);
std::string read_frame(const Socket& socket);

// Is there something to read, or the end, within so many milliseconds?
bool readable(const Socket& socket, int milliseconds);

}  // namespace standin
