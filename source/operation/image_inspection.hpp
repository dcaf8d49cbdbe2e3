#pragma once

#include <string>
#include <string_view>

#include "archive/image_files.hpp"
#include "check/contract.hpp"
#include "operation/machine.hpp"
#include "service/image_user.hpp"
#include "service/service_config.hpp"

namespace drunner {

// An image that was read, without running it, and may be installed. With --check parts of it may
// be unknown.
struct InspectedImage {
    Image image;
    ImageFiles files;  // everything below /drunner
    ServiceConfig config;
    ImageUser user;
    bool files_known = true;   // false: the engine does not have the image; `user` is unknown too
    bool config_known = true;  // false: nor that, or bash would have to tell `config`
};

// The files and the user of the image (which the engine has); servicecfg.sh is not looked into.
// Creates, reads and deletes scratch containers that are never started (one with --check), unless
// the cache knows the image.
ImageFacts read_image_files(Machine& machine, const Image& image, std::string_view reference);

// What the rules of the contract say of the image: read_image_files, and servicecfg.sh, which is
// evaluated in a confined container where it needs bash.
ImageFacts read_image(Machine& machine, const Image& image, std::string_view reference);

// What only checkimage asks, for facts that read_image gave: the image's settings, its directories
// at the paths of volumes, its shells, and which images of EXTRACONTAINERS the engine has. Nothing
// is started here either.
void read_image_details(Machine& machine, const Image& image, ImageFacts& facts);

// The image that is about to become a release of the service: its scripts pass review_scripts
// before anything of it runs, then the contract is checked. Throws Error(scripts_not_accepted), and
// Error(image_refused) with the first error's words. With --check an image that the engine lacks is
// judged by what is known of it, and nothing is evaluated.
InspectedImage inspect_image(Machine& machine, const ServiceName& service, const Image& image,
                             std::string_view reference);

}  // namespace drunner
