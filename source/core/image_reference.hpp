#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace drunner {

// A parsed image reference, in the grammar of the Docker distribution reference specification:
// [DOMAIN/]PATH[:TAG][@DIGEST]. docker.io, index.docker.io and registry-1.docker.io are one
// registry, and PATH without a slash is library/PATH there.
class ImageReference {
  public:
    // Throws Error(invalid_reference), naming what is wrong.
    explicit ImageReference(std::string_view text);

    // As the operator wrote it.
    const std::string& text() const { return text_; }

    // "docker.io", "127.0.0.1:5000"; never empty. What credentials are looked up by.
    const std::string& domain() const { return domain_; }
    // The name inside the registry: "library/debian", "team/app".
    const std::string& path() const { return path_; }
    // Empty where neither was given: then tag_or_latest() is "latest".
    const std::string& tag() const { return tag_; }
    const std::string& digest() const { return digest_; }
    std::string tag_or_latest() const { return tag_.empty() ? "latest" : tag_; }

    // "docker.io/library/debian": two references with equal repository name the same repository.
    std::string repository() const { return domain_ + "/" + path_; }
    // The short spelling that the engine lists in RepoTags and RepoDigests: "debian",
    // "team/app", "127.0.0.1:5000/app".
    std::string familiar_repository() const;
    // What to ask the engine for: familiar repository with "@DIGEST" where there is one, else with
    // ":TAG".
    std::string engine_name() const;
    // The manifest's name at the registry: the digest where there is one, else the tag.
    std::string manifest() const { return digest_.empty() ? tag_or_latest() : digest_; }
    // The last part of the path: the default name of a service.
    std::string last_part() const;

    // True where both name the same tag and digest of the same repository, however spelt.
    bool same_as(const ImageReference& other) const;

  private:
    std::string text_;
    std::string domain_;
    std::string path_;
    std::string tag_;
    std::string digest_;
};

}  // namespace drunner
