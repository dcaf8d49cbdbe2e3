#pragma once

#include <string>

#include "core/image_reference.hpp"

namespace drunner {

// A registry that can tell where its credentials come from (RestRegistry is one).
class CredentialSource {
  public:
    virtual ~CredentialSource() = default;

    // For a person: "auths in '/root/.docker/config.json'"; empty where there are none for the
    // reference. Throws as Registry::credentials does.
    virtual std::string source_of(const ImageReference& reference) = 0;
};

}  // namespace drunner
