#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "container/tenant.hpp"

namespace drunner {

struct MountRequest {
    enum class Type { bind, temporary };
    Type type = Type::bind;
    std::string source;  // absolute path on the host, of a bind
    std::string target;  // absolute path in the container
    bool read_only = false;
    bool recursive = true;         // mounts below the source too
    std::string propagation;       // "rslave" ..., empty: the engine's default
    std::uint64_t size = 0;        // bytes of a temporary one, 0: no limit
    std::optional<unsigned> mode;  // of a temporary one
};

// A container as a tenant asks for it. README.md of this folder tells the fields of the document.
struct ContainerRequest {
    std::string name;
    std::string root;  // an image's reference, or the absolute path of a directory
    std::vector<std::string> environment;  // KEY=VALUE
    std::string network;                   // "none", "host", or a network of the tenant
    std::vector<MountRequest> mounts;
    std::vector<std::string> entrypoint;  // empty: the image's own
    bool interactive = false;
    double processors = 0;     // 0: all
    std::uint64_t memory = 0;  // bytes, 0: no limit
    std::optional<std::chrono::seconds> shutdown_timeout;
    bool elevated = false;

    // The document as it was given, without Env: keys in order, no spaces.
    std::string canonical;

    bool has_own_root() const { return !root.empty() && root.front() == '/'; }
    // Whether the network is one of the tenant's, and not the engine's own.
    bool has_own_network() const { return network != "none" && network != "host"; }
    std::chrono::seconds grace() const {
        return shutdown_timeout.value_or(std::chrono::seconds{10});
    }
};

// Throws Error(usage) that names everything that is wrong, unknown fields too.
ContainerRequest parse_container_request(std::string_view json);

// The document that was given, from its label and the container's environment.
std::string request_document(std::string_view canonical,
                             const std::vector<std::string>& environment);

// Words as a shell reads them: blanks part them; quotes and backslashes keep. Nothing is expanded.
// Empty where a quote is not closed.
std::optional<std::vector<std::string>> entrypoint_words(std::string_view text);

// The body of POST /containers/create, JSON. `image` is what `root` names to the engine.
std::string container_body(const Tenant& tenant, const ContainerRequest& request,
                           const std::string& image);

// How often the engine starts a container again that ended with an error, before it gives up.
inline constexpr unsigned engine_restarts = 3;

}  // namespace drunner
