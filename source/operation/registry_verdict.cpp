#include "core/error.hpp"
#include "operation/operations.hpp"

namespace drunner {

RegistryVerdict test_registry(Machine& machine, const ImageReference& reference) {
    const RegistryAuth credentials = machine.registry.credentials(reference);
    const bool with_credentials = !credentials.header.empty();
    const ManifestAnswer answer = machine.registry.resolve(reference);
    const std::string login = "docker login " + reference.domain();
    switch (answer.verdict) {
        case ManifestAnswer::Verdict::found:
            break;
        case ManifestAnswer::Verdict::not_found:
            throw Error(ErrorKind::image_not_found, answer.message,
                        with_credentials ? "docker push " + reference.text() : login);
        case ManifestAnswer::Verdict::denied:
            throw Error(ErrorKind::registry_denied, answer.message, login);
        case ManifestAnswer::Verdict::unreachable:
            throw Error(ErrorKind::registry_unreachable, answer.message);
    }
    return {reference.text(), reference.domain(), answer.digest, with_credentials};
}

}  // namespace drunner
