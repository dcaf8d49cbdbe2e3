#pragma once

#include <map>
#include <string>

#include "core/image_reference.hpp"
#include "core/service_name.hpp"

namespace drunner {

struct SkeletonRequest {
    ServiceName name;
    ImageReference base{"debian:bookworm-slim"};
    std::string volume = "/data";  // absolute path in the container
    int port = 0;                  // that the service listens on, 0: none
    int version = 1;               // of the hooks' names
};

struct SkeletonFile {
    std::string content;
    bool executable = false;
};

// The sources of a new service image, from templates/service: path -> file. Throws
// Error(usage) where the volume has characters that scripts would have to quote, and
// Error(image_refused) where it breaks the contract.
std::map<std::string, SkeletonFile> make_skeleton(const SkeletonRequest& request);

}  // namespace drunner
