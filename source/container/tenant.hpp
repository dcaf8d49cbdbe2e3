#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace drunner {

// A tenant: a namespace of containers. [A-Za-z0-9][A-Za-z0-9_-]{0,62}, without a dot, so that the
// engine's name of what belongs to it, drunner.TENANT.NAME, can be read in one way only.
class Tenant {
  public:
    // Throws Error(invalid_name), naming the text and the rule.
    explicit Tenant(std::string_view text);

    const std::string& text() const { return text_; }
    // The engine's name for the tenant's container or network NAME.
    std::string engine_name(std::string_view name) const {
        return "drunner." + text_ + "." + std::string(name);
    }
    auto operator<=>(const Tenant&) const = default;

  private:
    std::string text_;
};

// Of containers and networks of a tenant: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}.
bool is_tenant_object_name(std::string_view text);

// The labels that carry everything that is known of a tenant's container: nothing is kept outside
// the engine.
namespace container_label {
inline constexpr const char* tenant = "drunner.tenant";
inline constexpr const char* name = "drunner.name";
inline constexpr const char* network = "drunner.network";  // absent where it is the engine's own
// The request as it was given, JSON, without Env: labels are shown everywhere, and environments
// hold secrets. The caller's variables are the first ones of the container's own.
inline constexpr const char* request = "drunner.spec";
inline constexpr const char* environment = "drunner.environment";  // how many variables those are
// Of a service's container: drunner watch and drunner ensure are to keep it running.
inline constexpr const char* watch = "drunner.watch";
}  // namespace container_label

}  // namespace drunner
