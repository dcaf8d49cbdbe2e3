#include "host/network.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include "host/file.hpp"

namespace drunner {
namespace {

constexpr const char* loopback = "127.0.0.1";

// The interface of the default route with the lowest metric, empty where there is none.
std::string default_interface() {
    std::ifstream table("/proc/net/route");
    std::string line;
    std::getline(table, line);  // the column names
    std::string best;
    unsigned long best_metric = std::numeric_limits<unsigned long>::max();
    while (std::getline(table, line)) {
        std::istringstream columns(line);
        std::string interface;
        unsigned long destination = 0;
        unsigned long gateway = 0;
        unsigned long flags = 0;
        unsigned long references = 0;
        unsigned long uses = 0;
        unsigned long metric = 0;
        unsigned long mask = 0;
        columns >> interface >> std::hex >> destination >> gateway >> flags >> std::dec >>
            references >> uses >> metric >> std::hex >> mask;
        const bool usable = (flags & RTF_UP) != 0 && (flags & RTF_REJECT) == 0;
        if (columns && destination == 0 && mask == 0 && usable && metric < best_metric) {
            best = interface;
            best_metric = metric;
        }
    }
    return best;
}

}  // namespace

std::string default_route_address() {
    const std::string interface = default_interface();
    const FileDescriptor socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    if (interface.empty() || interface.size() >= IFNAMSIZ || !socket_fd.valid()) {
        return loopback;
    }
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    if (ioctl(socket_fd.get(), SIOCGIFADDR, &request) != 0) {
        return loopback;
    }
    sockaddr_in address{};
    static_assert(sizeof(address) <= sizeof(request.ifr_addr));
    std::memcpy(&address, &request.ifr_addr, sizeof(address));
    std::array<char, INET_ADDRSTRLEN> text{};
    return inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size()) == nullptr ? loopback
                                                                                      : text.data();
}

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace drunner
