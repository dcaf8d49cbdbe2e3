#pragma once

#include <string>
#include <string_view>

#include "core/image_reference.hpp"

namespace drunner {

// What stands between an image and who asks its registry for it.
enum class RegistryTrouble {
    none,               // nothing that these words tell of
    unauthorized,       // 401: it wants credentials, or others
    forbidden,          // 403: it knows who asks, and does not let them
    absent,             // 404
    busy,               // 429
    unknown_authority,  // TLS: signed by nobody that this host trusts
    bad_certificate,    // TLS: expired, for another name, or broken
    plain_http,         // it speaks HTTP where HTTPS was spoken to it
    unreachable,        // no answer, or 5xx
};

// What the words of an engine or of a TLS library about a request for the reference mean.
RegistryTrouble registry_trouble(const ImageReference& reference, std::string_view words);

// The next command to type; empty where there is none.
std::string registry_way_out(RegistryTrouble trouble, const ImageReference& reference,
                             bool with_credentials);

}  // namespace drunner
