#pragma once

#include <memory>
#include <string>

#include "engine/registry.hpp"

namespace drunner {

// Registries over HTTPS (plain HTTP only for loopback and what the engine lists as insecure), with
// the credentials of `docker_config`/config.json: auths, credHelpers, credsStore, identity tokens.
// Follows the distribution specification and the Docker token flow. `engine` is asked for its
// insecure registries and serves as the fallback; it must outlive the result.
std::unique_ptr<Registry> make_rest_registry(Engine& engine, const std::string& docker_config);

// DOCKER_CONFIG, else ~/.docker.
std::string default_docker_config();

}  // namespace drunner
