#pragma once

#include <string>
#include <string_view>

namespace drunner {

inline constexpr std::string_view default_engine_socket = "/var/run/docker.sock";

// The path of the engine's Unix socket: `host_option` (--host) where it is not empty, else
// DOCKER_HOST, else the current docker context (DOCKER_CONTEXT, or currentContext in
// DOCKER_CONFIG/config.json, with its endpoint below DOCKER_CONFIG/contexts/meta), else
// /var/run/docker.sock. Accepts unix:///path and /path. Anything that is not a Unix socket (tcp,
// ssh, npipe) throws Error(usage) that names where the value came from.
std::string engine_socket(const std::string& host_option);

// The value for DOCKER_HOST that names this socket: "unix:///var/run/docker.sock".
std::string docker_host(const std::string& socket);

}  // namespace drunner
