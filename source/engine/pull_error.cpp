#include "engine/pull_error.hpp"

#include <string>

#include "core/text.hpp"
#include "engine/registry_trouble.hpp"

namespace drunner {
namespace {

ErrorKind kind_of(RegistryTrouble trouble) {
    switch (trouble) {
        case RegistryTrouble::none:
            return ErrorKind::engine_refused;
        case RegistryTrouble::unauthorized:
        case RegistryTrouble::forbidden:
            return ErrorKind::registry_denied;
        case RegistryTrouble::absent:
            return ErrorKind::image_not_found;
        default:
            return ErrorKind::registry_unreachable;
    }
}

}  // namespace

Error pull_error(const ImageReference& reference, std::string_view words, bool with_credentials) {
    constexpr std::size_t shown = 500;
    const RegistryTrouble trouble = registry_trouble(reference, words);
    const ErrorKind kind = kind_of(trouble);
    std::string message = "cannot pull '" + printable(reference.text()) +
                          "': " + printable(trim(words.substr(0, shown)));
    if (kind == ErrorKind::registry_denied && !with_credentials) {
        message += "; there are no credentials for '" + reference.domain() + "'";
    }
    return Error(kind, message, registry_way_out(trouble, reference, with_credentials));
}

}  // namespace drunner
