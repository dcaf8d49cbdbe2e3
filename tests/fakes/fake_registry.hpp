#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/image_reference.hpp"
#include "engine/registry.hpp"
#include "fakes/fake_image.hpp"

namespace drunner::test {

struct PublishedImage {
    FakeImage image;
    std::string digest;
};

// The registries of the world, as far as a test published to them. What a tag named before stays
// there under its digest, as in a real one.
class FakeRegistry : public Registry {
  public:
    // Moves the reference's tag to the image; answers its digest.
    std::string publish(const std::string& reference, const FakeImage& image);
    // The tag is gone.
    void withdraw(const std::string& reference);
    // From now on the domain's registry answers everything so; `found` ends it.
    void answer(const std::string& domain, ManifestAnswer::Verdict verdict);

    // What a pull gets; the verdict is `found` where `published` is set.
    struct Delivery {
        ManifestAnswer::Verdict verdict = ManifestAnswer::Verdict::not_found;
        std::optional<PublishedImage> published;
    };
    Delivery deliver(const ImageReference& reference);

    // The references that were asked for with resolve(), in order.
    std::vector<std::string> asked() const;

    ManifestAnswer resolve(const ImageReference& reference) override;
    Image describe(const ImageReference& reference) override;
    RegistryAuth credentials(const ImageReference& reference) override;

  private:
    Delivery look_up(const ImageReference& reference) const;

    mutable std::mutex mutex_;
    std::map<std::string, PublishedImage> images_;  // by repository:tag and repository@digest
    std::map<std::string, ManifestAnswer::Verdict> verdicts_;
    std::vector<std::string> asked_;
};

}  // namespace drunner::test
