#pragma once

#include <optional>
#include <string>

#include "archive/image_files.hpp"
#include "host/paths.hpp"
#include "service/image_user.hpp"

namespace drunner {

// What was read out of an image, kept by the image's id: an id names a content, so what was read
// once need not be read again. An engine takes as long for one archive as for the rest of an
// install. Losing the cache costs nothing but that time.
struct CachedImage {
    ImageFiles files;  // everything below /drunner
    ImageUser user;    // USER, resolved
};

// Files P/var/lib/drunner/images/HEX: SHA-256 (32 bytes) of what follows, then CBOR (RFC 8949).
class ImageCache {
  public:
    explicit ImageCache(const Paths& paths);

    // Empty where it is not there, or not whole.
    std::optional<CachedImage> find(const std::string& image_id) const;
    // Does nothing for what is large, or cannot be written: a cache is no reason for a failure.
    // Forgets the oldest beyond `most_images`.
    void keep(const std::string& image_id, const CachedImage& image) const;

    static constexpr std::size_t most_images = 32;
    static constexpr std::size_t most_bytes = 1U << 20U;

  private:
    // Empty for what is no image id.
    std::string file_of(const std::string& image_id) const;

    std::string directory_;
};

}  // namespace drunner
