#include "engine/registry_trouble.hpp"

#include <algorithm>
#include <array>

namespace drunner {
namespace {

struct Sign {
    std::string_view words;  // lower case
    RegistryTrouble trouble;
};

// The first that occurs decides: "pull access denied for X, repository does not exist or may
// require 'docker login'" is a denial, "dial tcp ...: connection refused" no refusal of access.
constexpr std::array signs{
    Sign{"dial tcp", RegistryTrouble::unreachable},
    Sign{"dial unix", RegistryTrouble::unreachable},
    Sign{"no such host", RegistryTrouble::unreachable},
    Sign{"connection refused", RegistryTrouble::unreachable},
    Sign{"connection reset", RegistryTrouble::unreachable},
    Sign{"network is unreachable", RegistryTrouble::unreachable},
    Sign{"no route to host", RegistryTrouble::unreachable},
    Sign{"timeout", RegistryTrouble::unreachable},
    Sign{"timed out", RegistryTrouble::unreachable},
    Sign{"deadline exceeded", RegistryTrouble::unreachable},
    Sign{"request canceled", RegistryTrouble::unreachable},
    Sign{"unknown authority", RegistryTrouble::unknown_authority},
    Sign{"self-signed certificate", RegistryTrouble::unknown_authority},
    Sign{"self signed certificate", RegistryTrouble::unknown_authority},
    Sign{"local issuer certificate", RegistryTrouble::unknown_authority},
    Sign{"http response to https client", RegistryTrouble::plain_http},
    Sign{"wrong version number", RegistryTrouble::plain_http},
    Sign{"x509", RegistryTrouble::bad_certificate},
    Sign{"tls:", RegistryTrouble::bad_certificate},
    Sign{"certificate", RegistryTrouble::bad_certificate},
    Sign{"ssl:", RegistryTrouble::bad_certificate},
    Sign{"toomanyrequests", RegistryTrouble::busy},
    Sign{"too many requests", RegistryTrouble::busy},
    Sign{"received unexpected http status", RegistryTrouble::unreachable},
    Sign{"500 internal server error", RegistryTrouble::unreachable},
    Sign{"502 bad gateway", RegistryTrouble::unreachable},
    Sign{"503 service unavailable", RegistryTrouble::unreachable},
    Sign{"unexpected eof", RegistryTrouble::unreachable},
    // "error parsing HTTP 403 response body": a registry, or a proxy before it, without words.
    Sign{"parsing http 401", RegistryTrouble::unauthorized},
    Sign{"parsing http 403", RegistryTrouble::forbidden},
    Sign{"parsing http 404", RegistryTrouble::absent},
    Sign{"parsing http 429", RegistryTrouble::busy},
    Sign{"unauthorized", RegistryTrouble::unauthorized},
    Sign{"403 forbidden", RegistryTrouble::forbidden},
    Sign{"denied", RegistryTrouble::forbidden},
    Sign{"no basic auth credentials", RegistryTrouble::unauthorized},
    Sign{"authentication required", RegistryTrouble::unauthorized},
    Sign{"authorization failed", RegistryTrouble::unauthorized},
    Sign{"invalid username/password", RegistryTrouble::unauthorized},
    Sign{"manifest unknown", RegistryTrouble::absent},
    Sign{"name unknown", RegistryTrouble::absent},
    Sign{"not found", RegistryTrouble::absent},
    Sign{"does not exist", RegistryTrouble::absent},
};

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

void erase_all(std::string& text, std::string_view part) {
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
        text.erase(at, part.size());
    }
}

// "docker login" alone is Docker Hub's.
std::string login(const ImageReference& reference, std::string_view options) {
    return "docker login" + std::string(options) +
           (reference.domain() == "docker.io" ? "" : " " + reference.domain());
}

std::string host_of_hub(const std::string& domain) {
    return domain == "docker.io" ? "registry-1.docker.io" : domain;
}

std::string with_port(const std::string& host) {
    const std::size_t bracket = host.find(']');
    return host.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos
               ? host + ":443"
               : host;
}

}  // namespace

RegistryTrouble registry_trouble(const ImageReference& reference, std::string_view words) {
    std::string judged = to_lower(words);
    // An image may be called "timeout" or "denied".
    for (const std::string& own :
         {to_lower(reference.text()), reference.path(), reference.familiar_repository(),
          ":" + to_lower(reference.tag_or_latest()) + " ",
          "manifests/" + to_lower(reference.tag_or_latest())}) {
        erase_all(judged, own);
    }
    const auto* sign = std::find_if(signs.begin(), signs.end(), [&](const Sign& candidate) {
        return judged.find(candidate.words) != std::string::npos;
    });
    return sign == signs.end() ? RegistryTrouble::none : sign->trouble;
}

std::string registry_way_out(RegistryTrouble trouble, const ImageReference& reference,
                             bool with_credentials) {
    const std::string host = host_of_hub(reference.domain());
    switch (trouble) {
        case RegistryTrouble::unauthorized:
            return login(reference, "");
        case RegistryTrouble::forbidden:
            return login(reference, with_credentials ? " --username ANOTHER" : "");
        case RegistryTrouble::absent:
            return with_credentials ? "docker push " + reference.text() : login(reference, "");
        case RegistryTrouble::busy:
            return with_credentials || reference.domain() != "docker.io"
                       ? "sleep 60; drunner registry test " + reference.text()
                       : login(reference, "");
        case RegistryTrouble::unknown_authority:
            return "install -D -m 644 CA.crt /etc/docker/certs.d/" + reference.domain() + "/ca.crt";
        case RegistryTrouble::bad_certificate:
            return "openssl s_client -connect " + with_port(host) +
                   " </dev/null | openssl x509 -noout -text";
        case RegistryTrouble::plain_http:
            return "name '" + reference.domain() +
                   "' in insecure-registries of /etc/docker/daemon.json; systemctl restart docker";
        case RegistryTrouble::unreachable:
            return "curl -i https://" + host + "/v2/";
        case RegistryTrouble::none:
            break;
    }
    return "";
}

}  // namespace drunner
