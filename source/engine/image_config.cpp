#include "engine/image_config.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/json_fields.hpp"

namespace drunner {

using nlohmann::json;

void read_image_config(const json& config, Image& image) {
    image.user = text_of(config, "User");
    image.entrypoint = texts_of(config, "Entrypoint");
    image.command = texts_of(config, "Cmd");
    image.environment = texts_of(config, "Env");
    image.volumes = names_of(config, "Volumes");
    image.exposed_ports = names_of(config, "ExposedPorts");
    image.labels = pairs_of(config, "Labels");
    const auto test = texts_of(member(config, "Healthcheck"), "Test");
    image.has_healthcheck = !test.empty() && test.front() != "NONE";
}

std::string_view platform_architecture(std::string_view machine) {
    using Row = std::pair<std::string_view, std::string_view>;
    constexpr std::array rows{Row{"x86_64", "amd64"}, Row{"aarch64", "arm64"}, Row{"armv7l", "arm"},
                              Row{"armv6l", "arm"},   Row{"i686", "386"},      Row{"i386", "386"}};
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const Row& row) { return row.first == machine; });
    return found == rows.end() ? machine : found->second;
}

}  // namespace drunner
