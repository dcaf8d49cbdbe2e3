#pragma once

#include <string_view>

#include "core/error.hpp"
#include "core/image_reference.hpp"

namespace drunner {

// What the engine's own words about a failed pull mean: image_not_found, registry_denied,
// registry_unreachable, else engine_refused, each with what to type. Engines tell these apart in
// words only.
Error pull_error(const ImageReference& reference, std::string_view words, bool with_credentials);

}  // namespace drunner
