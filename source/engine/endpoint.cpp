#include "engine/endpoint.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/rest_registry.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::string_view scheme = "unix://";

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string socket_of(std::string_view text, const std::string& origin) {
    const std::string_view path = text.starts_with(scheme) ? text.substr(scheme.size()) : text;
    if (!path.starts_with('/')) {
        throw Error(ErrorKind::usage,
                    "'" + printable(text) + "' (" + origin +
                        ") is not a Unix socket: drunner works with the engine of its own host",
                    "drunner --host unix:///var/run/docker.sock");
    }
    return std::string(path);
}

// Member `key` where it is a string, else empty.
std::string text_at(const json& object, const char* key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string()
               ? found->get<std::string>()
               : std::string();
}

std::string context_of_config(const std::string& docker_config) {
    const std::string path = docker_config + "/config.json";
    if (!exists(path)) {
        return "";
    }
    return text_at(json::parse(read_file(path), nullptr, false), "currentContext");
}

// DOCKER_CONFIG/contexts/meta/HASH/meta.json: {"Name": ..., "Endpoints": {"docker": {"Host": ...}}}
std::string host_of_context(const std::string& docker_config, const std::string& context,
                            const std::string& origin) {
    const std::string meta = docker_config + "/contexts/meta";
    for (const std::string& entry : directory_entries(meta)) {
        const std::string path = meta + "/" + entry + "/meta.json";
        if (!exists(path)) {
            continue;
        }
        const json document = json::parse(read_file(path), nullptr, false);
        if (text_at(document, "Name") != context) {
            continue;
        }
        const json endpoints = document.value("Endpoints", json::object());
        return text_at(endpoints.is_object() ? endpoints.value("docker", json()) : json(), "Host");
    }
    throw Error(ErrorKind::usage,
                "there is no docker context '" + printable(context) + "' (" + origin + ")",
                "docker context ls");
}

}  // namespace

std::string engine_socket(const std::string& host_option) {
    if (!host_option.empty()) {
        return socket_of(host_option, "from --host");
    }
    if (const std::string host = environment("DOCKER_HOST"); !host.empty()) {
        return socket_of(host, "from DOCKER_HOST");
    }
    const std::string docker_config = default_docker_config();
    std::string origin = "from DOCKER_CONTEXT";
    std::string context = environment("DOCKER_CONTEXT");
    if (context.empty()) {
        origin = "the current docker context";
        context = context_of_config(docker_config);
    }
    if (context.empty() || context == "default") {
        return std::string(default_engine_socket);
    }
    return socket_of(host_of_context(docker_config, context, origin),
                     "docker context '" + printable(context) + "'");
}

std::string docker_host(const std::string& socket) {
    return std::string(scheme) + socket;
}

}  // namespace drunner
