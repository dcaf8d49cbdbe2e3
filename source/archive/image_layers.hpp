#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive/image_files.hpp"

namespace drunner {

// The files of an image where an engine of this machine keeps them: the directories that its
// overlay driver puts one above the other (GraphDriver.Data of GET /images/ID/json). They never
// change, and their names are random, so what stands here under such a name is what the engine has.
// An engine needs 100 ms or more to answer the same.
//
// Merged as Documentation/filesystems/overlayfs.rst says: whiteouts and opaque directories.
// Whatever is out of the ordinary (links, devices, set-id bits, names with control characters, too
// much, directories that are not here, no right to see overlayfs's attributes, a user namespace)
// gives nothing, and the engine is to be asked, which judges it; so does what is not there.
class ImageLayers {
  public:
    // Absolute paths, the uppermost first.
    explicit ImageLayers(std::vector<std::string> directories);

    // The regular files below a directory of the image's root.
    std::optional<ImageFiles> files(const std::string& root, ImageFilesLimits limits = {}) const;
    // The content of one, at most `limit` bytes. A path without a leading slash.
    std::optional<std::string> file(const std::string& path, std::uint64_t limit) const;

  private:
    std::vector<std::string> directories_;
};

}  // namespace drunner
