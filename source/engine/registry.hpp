#pragma once

#include <string>

#include "core/image_reference.hpp"
#include "engine/engine.hpp"

namespace drunner {

// What a registry says of a manifest.
struct ManifestAnswer {
    enum class Verdict {
        found,        // digest is set
        not_found,    // 404
        denied,       // 401 or 403 with what credentials there are; some so hide what they lack
        unreachable,  // no answer, TLS failure, 429 after the retries, 5xx
    };
    Verdict verdict = Verdict::unreachable;
    std::string digest;   // "sha256:..."
    std::string message;  // what went wrong, for a person; never holds a credential
};

// The registries that images come from. Implementations: RestRegistry (the real ones, with the
// engine's distribution endpoint as the fallback), FakeRegistry (tests).
class Registry {
  public:
    virtual ~Registry() = default;

    // The digest that the reference's tag names now, by one HEAD (two with a token). Never throws
    // for what a registry answers or fails to answer; Error(interrupted) passes.
    virtual ManifestAnswer resolve(const ImageReference& reference) = 0;

    // What a pull of the reference would bring to this engine, as far as the registry tells it
    // without a layer: id, digest and configuration, by GETs of the manifest and of the
    // configuration, which some registries count as a pull. `tags` and `size` stay empty. Throws
    // Error(image_not_found, registry_denied, registry_unreachable) as a pull does.
    virtual Image describe(const ImageReference& reference) = 0;

    // The credentials to hand to the engine for a pull.
    virtual RegistryAuth credentials(const ImageReference& reference) = 0;
};

}  // namespace drunner
