#include "operation/image_choice.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

std::vector<std::string> own_digests(const Image& image, const ImageReference& reference) {
    std::vector<std::string> digests;
    for (const std::string& text : image.digests) {
        const std::size_t at = text.find('@');
        if (at != std::string::npos &&
            ImageReference(text.substr(0, at)).repository() == reference.repository()) {
            digests.push_back(text.substr(at + 1));
        }
    }
    return digests;
}

// What pull would answer.
ImageChoice foresee_pull(Machine& machine, const ImageReference& reference) {
    machine.progress.note("'" + reference.text() + "' would be pulled");
    Image described;
    try {
        described = machine.registry.describe(reference);
    } catch (const Error& error) {
        // The engine may reach a registry that drunner does not.
        if (error.kind() != ErrorKind::registry_unreachable || !reference.digest().empty()) {
            throw;
        }
        const ManifestAnswer answer = machine.registry.resolve(reference);
        if (answer.verdict != ManifestAnswer::Verdict::found) {
            throw;
        }
        described.digests = {reference.familiar_repository() + "@" + answer.digest};
        return {std::move(described), true};
    }
    if (std::optional<Image> known = machine.engine.find_image(described.id)) {
        known->digests.insert(known->digests.begin(), described.digests.begin(),
                              described.digests.end());
        return {std::move(*known), true};
    }
    return {std::move(described), true};
}

ImageChoice pull(Machine& machine, const ImageReference& reference) {
    if (machine.check) {
        return foresee_pull(machine, reference);
    }
    machine.progress.note("pulling '" + reference.text() + "'");
    machine.engine.pull_image(reference, machine.registry.credentials(reference), machine.progress);
    std::optional<Image> image = machine.engine.find_image(reference.engine_name());
    if (!image) {
        throw Error(ErrorKind::image_not_found,
                    "image '" + reference.text() + "' was pulled but the engine does not have it");
    }
    return {std::move(*image), true};
}

}  // namespace

std::string own_digest(const Image& image, const ImageReference& reference) {
    const std::vector<std::string> digests = own_digests(image, reference);
    return digests.empty() ? std::string() : digests.front();
}

ImageChoice choose_image(Machine& machine, const ImageQuestion& question) {
    const ImageReference& reference = question.reference;
    if (question.policy == PullPolicy::always) {
        return pull(machine, reference);
    }
    std::optional<Image> local = machine.engine.find_image(reference.engine_name());
    if (!local) {
        if (question.policy == PullPolicy::never) {
            throw Error(ErrorKind::image_not_found,
                        "image '" + reference.text() +
                            "' is not on this engine, and the pull policy is 'never'",
                        "docker build -t " + reference.text() + " DIRECTORY");
        }
        return pull(machine, reference);
    }
    const bool installing = question.installed.empty();
    if (installing || question.policy == PullPolicy::missing ||
        question.policy == PullPolicy::never) {
        return {std::move(*local), false};
    }
    const bool pulled_before = std::find(question.pulled.begin(), question.pulled.end(),
                                         local->id) != question.pulled.end();
    if (local->id != question.installed && !pulled_before) {
        return {std::move(*local), false};  // a local build, or a pull by hand
    }
    const std::vector<std::string> digests = own_digests(*local, reference);
    // No registry ever had it, or it bears the name that Podman gives to what is built here.
    if (digests.empty() || reference.domain() == "localhost") {
        return {std::move(*local), false};
    }
    const ManifestAnswer answer = machine.registry.resolve(reference);
    switch (answer.verdict) {
        case ManifestAnswer::Verdict::found:
            if (std::find(digests.begin(), digests.end(), answer.digest) != digests.end()) {
                return {std::move(*local), false};
            }
            return pull(machine, reference);
        case ManifestAnswer::Verdict::unreachable:
            throw Error(ErrorKind::registry_unreachable,
                        "cannot ask for '" + reference.text() + "': " + answer.message,
                        "drunner update SERVICE --pull never");
        case ManifestAnswer::Verdict::not_found:
        case ManifestAnswer::Verdict::denied:
            break;
    }
    if (!pulled_before) {
        machine.progress.note("'" + reference.text() +
                              "' is taken as a local image: " + answer.message);
        return {std::move(*local), false};
    }
    if (answer.verdict == ManifestAnswer::Verdict::denied) {
        throw Error(ErrorKind::registry_denied,
                    "cannot ask for '" + reference.text() + "': " + answer.message,
                    "docker login " + reference.domain());
    }
    throw Error(ErrorKind::image_not_found,
                "the registry has no '" + reference.text() + "' any more: " + answer.message,
                "drunner update SERVICE --pull never");
}

}  // namespace drunner
