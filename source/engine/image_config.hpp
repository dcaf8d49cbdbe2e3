#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "engine/engine.hpp"

namespace drunner {

// The `config` of an image, which is the same in the engine's inspect answer and in the
// configuration that a registry keeps (OCI image specification): fills USER, ENTRYPOINT, CMD, ENV,
// VOLUME, EXPOSE, LABEL and HEALTHCHECK of `image`.
void read_image_config(const nlohmann::json& config, Image& image);

// The name in images' platforms for what uname calls a machine: "amd64" for "x86_64".
std::string_view platform_architecture(std::string_view machine);

}  // namespace drunner
