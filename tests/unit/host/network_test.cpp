#include "host/network.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <set>

#include "core/text.hpp"
#include "host/file.hpp"

TEST_CASE("the address of the default route is one of this host's, loopback without a route") {
    std::set<std::string> addresses;
    ifaddrs* all = nullptr;
    REQUIRE(getifaddrs(&all) == 0);
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET) {
            char text[INET_ADDRSTRLEN] = "";
            const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
            addresses.insert(inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)));
        }
    }
    freeifaddrs(all);
    bool has_default = false;
    for (const std::string& line : drunner::split(drunner::read_file("/proc/net/route"), '\n')) {
        const auto columns = drunner::split(line, '\t');
        has_default |= columns.size() > 7 && columns[1] == "00000000" && columns[7] == "00000000";
    }
    const std::string address = drunner::default_route_address();
    CAPTURE(address);
    CHECK((addresses.contains(address) || address == "127.0.0.1"));
    CHECK((address == "127.0.0.1") == !has_default);
}
