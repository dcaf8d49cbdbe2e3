#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

namespace standin {

// A socket, closed when it goes.
class Socket {
  public:
    explicit Socket(int fd = -1) : fd_(fd) {}
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    ~Socket();

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }

  private:
    int fd_;
};

// Who is at the other end, as the kernel tells it in the words of this process's namespaces: a pid
// of 0 is one that this process cannot see.
struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};

// All of these throw std::runtime_error.

// Listens on a new socket at the path, for everybody; what stands there is replaced.
Socket listen_at(const std::string& path);
Socket connect_to(const std::string& path);
Peer peer_of(const Socket& socket);
// A line without its newline, at most 4096 bytes; empty where the other end closes without one, or
// says nothing for that long.
std::string read_line(const Socket& socket, std::chrono::seconds patience);
void write_line(const Socket& socket, const std::string& line);

}  // namespace standin
