#include "engine/pull_error.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "core/text.hpp"

namespace drunner {
namespace {

struct Sign {
    std::string_view words;  // lower case
    ErrorKind kind;
};

// The first that occurs decides: "pull access denied for X, repository does not exist or may
// require 'docker login'" is a denial, "dial tcp ...: connection refused" no refusal of access.
constexpr std::array signs{
    Sign{"dial tcp", ErrorKind::registry_unreachable},
    Sign{"dial unix", ErrorKind::registry_unreachable},
    Sign{"no such host", ErrorKind::registry_unreachable},
    Sign{"connection refused", ErrorKind::registry_unreachable},
    Sign{"connection reset", ErrorKind::registry_unreachable},
    Sign{"network is unreachable", ErrorKind::registry_unreachable},
    Sign{"no route to host", ErrorKind::registry_unreachable},
    Sign{"timeout", ErrorKind::registry_unreachable},
    Sign{"timed out", ErrorKind::registry_unreachable},
    Sign{"deadline exceeded", ErrorKind::registry_unreachable},
    Sign{"request canceled", ErrorKind::registry_unreachable},
    Sign{"x509", ErrorKind::registry_unreachable},
    Sign{"tls:", ErrorKind::registry_unreachable},
    Sign{"http response to https client", ErrorKind::registry_unreachable},
    Sign{"toomanyrequests", ErrorKind::registry_unreachable},
    Sign{"too many requests", ErrorKind::registry_unreachable},
    Sign{"received unexpected http status", ErrorKind::registry_unreachable},
    Sign{"500 internal server error", ErrorKind::registry_unreachable},
    Sign{"502 bad gateway", ErrorKind::registry_unreachable},
    Sign{"503 service unavailable", ErrorKind::registry_unreachable},
    Sign{"unexpected eof", ErrorKind::registry_unreachable},
    Sign{"unauthorized", ErrorKind::registry_denied},
    Sign{"denied", ErrorKind::registry_denied},
    Sign{"no basic auth credentials", ErrorKind::registry_denied},
    Sign{"authentication required", ErrorKind::registry_denied},
    Sign{"authorization failed", ErrorKind::registry_denied},
    Sign{"403 forbidden", ErrorKind::registry_denied},
    Sign{"manifest unknown", ErrorKind::image_not_found},
    Sign{"name unknown", ErrorKind::image_not_found},
    Sign{"not found", ErrorKind::image_not_found},
    Sign{"does not exist", ErrorKind::image_not_found},
};

void erase_all(std::string& text, std::string_view part) {
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
        text.erase(at, part.size());
    }
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

ErrorKind kind_of(const ImageReference& reference, std::string_view words) {
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
    return sign == signs.end() ? ErrorKind::engine_refused : sign->kind;
}

}  // namespace

Error pull_error(const ImageReference& reference, std::string_view words) {
    constexpr std::size_t shown = 500;
    const ErrorKind kind = kind_of(reference, words);
    std::string next;
    if (kind == ErrorKind::registry_denied) {
        next = "docker login" + (reference.domain() == "docker.io" ? "" : " " + reference.domain());
    }
    return Error(kind,
                 "cannot pull '" + printable(reference.text()) +
                     "': " + printable(trim(words.substr(0, shown))),
                 next);
}

}  // namespace drunner
