#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/secret.hpp"
#include "engine/engine.hpp"

namespace drunner {

// What to prove to a registry who asks. At most one of the three ways is set: name and password,
// identity token (exchanged for a bearer token), registry token (a bearer token itself).
struct Credentials {
    std::string username;
    Secret password;
    Secret identity_token;
    Secret registry_token;
    // Where they were found, or where there are none, for a person: "auths in '/c/config.json'".
    std::string source = {};

    bool empty() const {
        return password.empty() && identity_token.empty() && registry_token.empty();
    }
};

// The credentials of the docker client, read out of DOCKER_CONFIG/config.json as the client does:
// the domain's credHelpers entry, else credsStore, else (also where those know none) auths. For
// docker.io every spelling of its address counts. May be used from several threads; each domain is
// looked up once.
class CredentialStore {
  public:
    explicit CredentialStore(std::string docker_config,
                             std::chrono::milliseconds limit = std::chrono::seconds{30});

    // Empty where there are none. Throws Error(registry_denied), with what to type, for a
    // config.json that cannot be used or a helper that fails, Error(timed_out) for one that does
    // not end within the limit, Error(interrupted).
    Credentials find(const std::string& domain);

  private:
    Credentials look_up(const std::string& domain) const;
    Credentials ask(const std::string& suffix, const std::string& address) const;

    std::string docker_config_;
    std::chrono::milliseconds limit_;
    std::mutex mutex_;
    std::map<std::string, Credentials> known_;
};

// For X-Registry-Auth: base64url of the JSON that the Engine API specifies (AuthConfig).
RegistryAuth registry_auth(const Credentials& credentials, const std::string& domain);

// RFC 4648 with padding; the URL-safe alphabet where asked.
std::string base64_encoded(std::string_view bytes, bool url_safe = false);
// Either alphabet, padding not required. Throws Error(registry_denied) for anything else.
std::string base64_decoded(std::string_view text);

}  // namespace drunner
