// Stands where daos_agent does: see README.md. It is not DAOS.

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent_config.hpp"
#include "certificates.hpp"
#include "clients.hpp"
#include "wire.hpp"

namespace standin {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds look_interval{3};
constexpr std::chrono::seconds patience{1};

void log(const std::string& line) {
    std::cerr << "daos_agent (stand-in): " << line << std::endl;
}

std::vector<std::string> interfaces() {
    std::vector<std::string> names;
    if (DIR* directory = opendir("/sys/class/net")) {
        while (const dirent* entry = readdir(directory)) {
            if (entry->d_name[0] != '.') {
                names.emplace_back(entry->d_name);
            }
        }
        closedir(directory);
    }
    std::sort(names.begin(), names.end());
    return names;
}

void choose_interface(const AgentConfig& config) {
    const std::vector<std::string> names = interfaces();
    if (!config.fabric) {
        const auto first = std::find_if(names.begin(), names.end(),
                                        [](const std::string& name) { return name != "lo"; });
        log("takes the interface " + (first == names.end() ? "lo" : *first) + ", by itself");
        return;
    }
    const Fabric& fabric = *config.fabric;
    if (std::find(names.begin(), names.end(), fabric.interface) == names.end()) {
        throw std::runtime_error("there is no interface '" + fabric.interface + "'");
    }
    log("takes the interface " + fabric.interface + ", domain " + fabric.domain + ", numa node " +
        std::to_string(fabric.numa_node) + ", as it was told");
}

class Agent {
  public:
    explicit Agent(const AgentConfig& config)
        : socket_path_(config.runtime_directory + "/daos_agent.sock") {
        if (!config.allow_insecure) {
            certificates_.emplace(config);
        }
        choose_interface(config);
        listener_ = listen_at(socket_path_);
        log("ready at " + socket_path_ + (certificates_ ? ", with certificates" : ", insecure") +
            ", for " + config.access_points.front() + ":" + std::to_string(config.port));
    }
    ~Agent() { unlink(socket_path_.c_str()); }
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    // Until a signal asks for its end.
    void run(int signals) {
        auto next_look = SteadyClock::now() + look_interval;
        while (true) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                next_look - SteadyClock::now());
            std::vector<pollfd> news{{listener_.get(), POLLIN, 0}, {signals, POLLIN, 0}};
            poll(news.data(), news.size(), std::max(static_cast<int>(left.count()), 0));
            if ((news[1].revents & POLLIN) != 0) {
                log("ends");
                return;
            }
            if ((news[0].revents & POLLIN) != 0) {
                serve();
            }
            if (SteadyClock::now() >= next_look) {
                clients_.evict(log);
                next_look = SteadyClock::now() + look_interval;
            }
        }
    }

  private:
    void serve() {
        const Socket caller(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!caller.valid()) {
            return;
        }
        try {
            const Peer peer = peer_of(caller);
            const std::string request = read_line(caller, patience);
            if (!request.empty()) {
                write_line(caller, answer(peer, request));
            }
        } catch (const std::runtime_error& error) {
            log(error.what());
        }
    }

    std::string answer(const Peer& peer, const std::string& request) {
        if (peer.pid == 0) {
            log("refused a caller of uid " + std::to_string(peer.uid) +
                ": the kernel tells its pid as 0, it shares no processes with the agent");
            return "error 1 the agent cannot see the processes of its caller (pid 0)";
        }
        std::istringstream words(request);
        std::string verb;
        std::string object;
        words >> verb >> object;
        if (verb == "whoami") {
            return "ok " + credential(peer);
        }
        if (verb == "connect" && object.starts_with("nosuch")) {
            return "error 5 there is no pool '" + object + "'";
        }
        if (verb == "connect" && !object.empty()) {
            const std::string handle = clients_.connect(peer.pid, object);
            if (handle.empty()) {
                return "error 1 the caller is gone";
            }
            log("handle " + handle + " of pool '" + object + "' for " + credential(peer));
            return "ok " + handle;
        }
        if (verb == "disconnect" && clients_.disconnect(peer.pid, object)) {
            return "ok";
        }
        return "error 2 this is no request, or not this caller's handle";
    }

    std::string credential(const Peer& peer) const {
        const std::string who =
            "uid=" + std::to_string(peer.uid) + "(" + account_name("/etc/passwd", peer.uid) +
            ") gid=" + std::to_string(peer.gid) + "(" + account_name("/etc/group", peer.gid) +
            ") pid=" + std::to_string(peer.pid);
        const bool is_signed = certificates_ && certificates_->sign(who);
        return who + " signed=" + (is_signed ? "yes" : "no");
    }

    std::string socket_path_;
    std::optional<Certificates> certificates_;
    Socket listener_;
    Clients clients_;
};

int start(const std::vector<std::string>& words) {
    std::string config = "/etc/daos/daos_agent.yml";
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "-o" && i + 1 < words.size()) {
            config = words[++i];
        } else if (words[i] != "start") {
            throw std::runtime_error("'" + words[i] + "' is not understood; next: see README.md");
        }
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    const Socket signals(signalfd(-1, &ends, SFD_CLOEXEC));
    Agent(read_agent_config(config)).run(signals.get());
    return 0;
}

}  // namespace
}  // namespace standin

int main(int count, char** words) {
    try {
        return standin::start({words + 1, words + count});
    } catch (const std::exception& error) {
        standin::log(error.what());
        return 1;
    }
}
