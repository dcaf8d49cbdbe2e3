#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace drunner::test {

struct PeerRequest {
    std::string method;
    std::string path;                            // with its query
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;                            // chunks already joined
    unsigned connection = 0;                     // which one it came over, from 1
};

struct PeerReply {
    enum class After {
        keep,  // the connection waits for the next request
        close,
        hang,  // nothing comes any more, the connection stays open
    };
    std::string bytes;  // status line, headers and body as they go out
    After after = After::keep;
};

// A whole answer with Content-Length.
PeerReply reply(int status, const std::string& body, const std::vector<std::string>& headers = {});
// The same in chunks of the given texts; `complete` ends them as HTTP wants it.
PeerReply chunked(int status, const std::vector<std::string>& chunks, bool complete = true);

// An HTTP/1.1 server that answers what a test tells it to, on a Unix socket or on a port of
// 127.0.0.1. Its threads end with it.
class ScriptedPeer {
  public:
    using Script = std::function<PeerReply(const PeerRequest&)>;

    // An empty path means TCP.
    ScriptedPeer(const std::string& socket, Script script);
    ~ScriptedPeer();
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;

    // "127.0.0.1:PORT".
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    // Everything that was asked so far.
    std::vector<PeerRequest> requests() const;
    // The most connections that were open at once.
    unsigned most_connections() const { return most_open_; }

  private:
    void accept_all();
    void serve(int fd, unsigned number);
    bool wait_readable(int fd) const;

    Script script_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<unsigned> open_{0};
    std::atomic<unsigned> most_open_{0};
    mutable std::mutex mutex_;
    std::vector<PeerRequest> requests_;
    std::vector<std::thread> connections_;
    std::thread accepting_;
};

}  // namespace drunner::test
