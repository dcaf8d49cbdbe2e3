#include "core/error.hpp"
#include "engine/credential_source.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

// By way of the engine, which may reach a registry that drunner does not.
std::string digest_by_engine(Machine& machine, const ImageReference& reference) {
    const ManifestAnswer answer = machine.registry.resolve(reference);
    return answer.verdict == ManifestAnswer::Verdict::found ? answer.digest : std::string();
}

}  // namespace

RegistryVerdict test_registry(Machine& machine, const ImageReference& reference) {
    RegistryVerdict verdict{reference.text(), reference.domain(), "", false};
    verdict.with_credentials = !machine.registry.credentials(reference).header.empty();
    if (auto* known = dynamic_cast<CredentialSource*>(&machine.registry);
        known != nullptr && verdict.with_credentials) {
        machine.progress.note("asking '" + reference.domain() + "' with the credentials from " +
                              known->source_of(reference));
    }
    try {
        const std::string named = machine.registry.describe(reference).digests.at(0);
        verdict.digest = named.substr(named.find('@') + 1);
    } catch (const Error& error) {
        // Without asking resolve() knows the digest of a reference that has one.
        if (error.kind() != ErrorKind::registry_unreachable || !reference.digest().empty()) {
            throw;
        }
        verdict.digest = digest_by_engine(machine, reference);
        if (verdict.digest.empty()) {
            throw;
        }
    }
    return verdict;
}

}  // namespace drunner
