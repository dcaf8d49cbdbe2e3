#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "engine/registry.hpp"

namespace drunner {

struct RegistryLimits {
    std::chrono::milliseconds connect{10'000};
    std::chrono::milliseconds answer{30'000};  // without a byte moving
    std::chrono::milliseconds backoff{1'000};  // before a second attempt; twice as long after it
    std::chrono::milliseconds retry_after{60'000};  // the longest that a registry may ask for
    std::string certificates = "/etc/docker/certs.d";
};

// Registries over HTTPS (plain HTTP only for loopback and what the engine lists as insecure), with
// the credentials of `docker_config`/config.json: auths, credHelpers, credsStore, identity tokens.
// Follows the distribution specification and the Docker token flow. At most two connections to a
// registry; each reference is asked for once, by however many threads. 429 (as long as Retry-After
// says) and 5xx are tried twice more. `engine` is asked for its insecure registries and serves as
// the fallback for a registry that cannot be reached from here; it must outlive the result.
std::unique_ptr<Registry> make_rest_registry(Engine& engine, const std::string& docker_config,
                                             RegistryLimits limits = {});

// DOCKER_CONFIG, else ~/.docker; empty where there is no home either.
std::string default_docker_config();

}  // namespace drunner
