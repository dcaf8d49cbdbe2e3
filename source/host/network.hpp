#pragma once

#include <string>

namespace drunner {

// The IPv4 address of the interface that the default route goes through, from /proc/net/route;
// 127.0.0.1 on a host without one.
std::string default_route_address();

// This host's name, "localhost" where it has none.
std::string host_name();

}  // namespace drunner
