#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/exit_code.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/secrets.hpp"

namespace drunner {

// A secret that the service has, had or declares. Never its content.
struct SecretState {
    std::string name;
    bool set = false;
    bool required = false;
    std::uint64_t size = 0;  // bytes
    std::string changed_at;  // ISO 8601, empty where it is not set
    std::string text;        // what the image says of it
};

// Sorted by name. Takes no lock, asks no engine.
std::vector<SecretState> secrets_of(Machine& machine, const ServiceName& name);

struct SecretResult {
    Outcome outcome = Outcome::unchanged;
    std::vector<std::string> missing;  // required ones that are still not set
};
// Containers see the new content when they are started again. Throws Error(usage) for a malformed
// name, a content that is empty or too large, and a name that is not declared where the image
// declares its secrets; Error(script_failed) where the image wants to see it first and its scripts
// refuse it. With --check these are not asked.
SecretResult set_secret(Machine& machine, const ServiceName& name, const std::string& secret,
                        const Secret& content);
// Also takes back that the service needs it, where it is lost and not declared as required.
// Unchanged where there is nothing of that name.
SecretResult remove_secret(Machine& machine, const ServiceName& name, const std::string& secret);

}  // namespace drunner
