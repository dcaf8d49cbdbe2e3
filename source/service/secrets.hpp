#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/secret.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The secrets of a service: bytes that the operator gives and that only files of root's hold. Each
// is a directory, so that it changes as a whole:
//
//   services/S/secrets/NAME/content    the bytes, 0600
//   services/S/secrets/NAME/U-G-MODE   the same for user U and group G in a container: what the
//                                      script's mount_secret makes and mounts
//
// A bind mount shows the owner and mode of the file on the host, so each mount's own owner and mode
// need a file; nobody else gets past the directories, which are 0700.

// The limits leave room for all of a service's secrets in the header of a backup.
inline constexpr std::size_t largest_secret = std::size_t{512} << 10U;
inline constexpr std::size_t most_secret_bytes = std::size_t{8} << 20U;  // of a service
inline constexpr std::size_t most_secrets = 64;                          // of a service

// Name -> content.
using Secrets = std::map<std::string, Secret>;

// A letter or digit, then up to 63 of [A-Za-z0-9_.-]: also a file's name and one for Swarm.
bool is_secret_name(std::string_view name);
// Throws Error(usage) for a malformed name.
void check_secret_name(std::string_view name);
// Throws Error(usage) that names what is too much, or empty.
void check_secrets(const Secrets& secrets);

// The names that the service cannot do without, sorted: what servicecfg.sh declares as required,
// and what was set and not removed since, also where its content is lost.
std::vector<std::string> required_secrets(const Manifest& manifest, const Release& release);

// The directory of a service's secrets, which may be absent.
class SecretStore {
  public:
    explicit SecretStore(std::string directory) : directory_(std::move(directory)) {}

    // Of those that have a content, sorted.
    std::vector<std::string> names() const;
    bool has(const std::string& name) const;
    // Empty where it has no content.
    std::optional<Secret> find(const std::string& name) const;
    Secrets all() const;

    struct Facts {
        std::uint64_t size = 0;
        std::int64_t changed = 0;  // seconds since the epoch
    };
    std::optional<Facts> facts(const std::string& name) const;

    // Makes `directory`, fit to take the place of the secret's own: the content, and every file
    // that is there now for a mount, with the new content.
    void write_beside(const std::string& directory, const std::string& name,
                      const Secret& content) const;

  private:
    std::string directory_;
};

// Required ones without a content, sorted.
std::vector<std::string> missing_secrets(const SecretStore& store, const Manifest& manifest);

}  // namespace drunner
