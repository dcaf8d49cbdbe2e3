#pragma once

#include <string>
#include <string_view>

#include "archive/image_files.hpp"
#include "check/contract.hpp"
#include "operation/machine.hpp"
#include "service/image_user.hpp"
#include "service/service_config.hpp"

namespace drunner {

// An image that was read, without running it, and may be installed.
struct InspectedImage {
    Image image;
    ImageFiles files;  // everything below /drunner
    ServiceConfig config;
    ImageUser user;
};

// What the rules of the contract say of the image (which the engine has). Creates, reads and
// deletes one scratch container that is never started, unless the cache knows the image; a
// servicecfg.sh that needs bash is evaluated in a confined one.
ImageFacts read_image(Machine& machine, const Image& image, std::string_view reference);

// What only checkimage asks, for facts that read_image gave: the image's settings, its directories
// at the paths of volumes, its shells, and which images of EXTRACONTAINERS the engine has. Nothing
// is started here either.
void read_image_details(Machine& machine, const Image& image, ImageFacts& facts);

// read_image, then the contract: throws Error(image_refused) with the first error's words.
InspectedImage inspect_image(Machine& machine, const Image& image, std::string_view reference);

}  // namespace drunner
