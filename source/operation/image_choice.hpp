#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/image_reference.hpp"
#include "operation/machine.hpp"
#include "service/operator_config.hpp"

namespace drunner {

struct ImageQuestion {
    ImageReference reference;
    PullPolicy policy = PullPolicy::automatic;
    std::string installed;            // image id of the current release, empty at install
    std::vector<std::string> pulled;  // ids that drunner pulled for this reference before
};

struct ImageChoice {
    Image image;
    bool pulled = false;  // by this call
};

// Whether an image is known well enough to judge its configuration: one that only an engine can
// ask for, or that lies in a backup, is not, with --check.
inline bool is_described(const Image& image) {
    return !image.os.empty();
}

// The image that the reference names now, pulled where the policy and the registry's answer ask for
// it (DESIGN: L, I and P). Throws Error(image_not_found, registry_unreachable, registry_denied).
// At install (`installed` empty) an image that is present is taken as it is, except with `always`.
// With --check nothing is pulled: the image is what the registry tells of it (Registry::describe),
// or, where only the engine reaches the registry, an undescribed one with its digest.
ImageChoice choose_image(Machine& machine, const ImageQuestion& question);

// The digest that the engine knows for the image in the reference's own repository, empty for a
// local image.
std::string own_digest(const Image& image, const ImageReference& reference);

}  // namespace drunner
