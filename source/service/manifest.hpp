#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"
#include "host/paths.hpp"
#include "service/service_config.hpp"

namespace drunner {

struct ExtraImage {
    std::string reference;
    std::string id;      // the engine's id when this release was made
    std::string digest;  // repository digest, empty for a local image

    bool operator==(const ExtraImage&) const = default;
};

// One install or update.
struct Release {
    int number = 0;
    std::string image_id;      // "sha256:..."
    std::string image_digest;  // "sha256:..." in the reference's own repository, empty if local
    std::string reference;     // as the operator gave it
    std::string user;          // USER of the image, as written
    unsigned uid = 0;
    unsigned gid = 0;
    std::string installed_at;  // ISO 8601
    ServiceConfig config;
    std::vector<ExtraImage> extra_images;
    std::map<std::string, std::string> script_hashes;  // path below /drunner -> SHA-256
    std::map<std::string, std::string> settings;       // what its hooks saw

    bool operator==(const Release&) const = default;
};

struct ManagedVolume {
    std::string path;
    std::string name;
    bool adopted = false;  // it has no labels of ours: it comes from the 2016 tool

    bool operator==(const ManagedVolume&) const = default;
};

// Keeps `update --all` away from a service.
struct Hold {
    std::string since;       // ISO 8601
    std::int64_t until = 0;  // seconds since the epoch; 0: until it is released

    bool operator==(const Hold&) const = default;
};

// The newest backup that was written whole.
struct BackupRecord {
    std::string at;    // ISO 8601
    std::string file;  // "-" where it went through a pipe
    std::uint64_t original_bytes = 0;
    std::uint64_t written_bytes = 0;  // of the newest without an embedded image

    bool operator==(const BackupRecord&) const = default;
};

// What `drunner drill` last found.
struct DrillRecord {
    std::string at;  // ISO 8601
    std::string file;
    bool passed = false;
    std::string reason;  // of a failure

    bool operator==(const DrillRecord&) const = default;
};

// service.json: what drunner knows of an installed service.
struct Manifest {
    ServiceName name;
    std::string installation;   // the random id of the drunner that installed it
    std::string engine_socket;  // the engine it is bound to
    std::string launcher;       // path of the launcher, empty where there is none
    std::string pull;           // per-service PULL word, empty: the operator's setting
    int current = 0;            // number of the current release
    int previous = 0;           // 0: none
    std::vector<Release> releases;
    std::vector<ManagedVolume> volumes;
    std::vector<std::string> pulled;          // image ids that drunner pulled for the reference
    std::vector<std::string> failed_digests;  // image ids whose update was rolled back
    std::map<std::string, std::string> settings;
    std::vector<std::string> secrets;  // names only, sorted: set, and not removed since
    std::optional<Hold> hold = std::nullopt;
    std::optional<BackupRecord> last_backup = std::nullopt;
    std::optional<DrillRecord> last_drill = std::nullopt;
    std::string drill_of = {};  // the service whose backup this scratch copy tries, else empty

    const Release& release() const;  // the current one
    const Release* find_release(int number) const;

    bool operator==(const Manifest&) const = default;
};

// The JSON text of service.json (format 1) and back. from_json throws Error(broken) that names
// what is wrong; a newer format names the version to install.
std::string to_json(const Manifest& manifest);
Manifest manifest_from_json(std::string_view text);

// The services of this host.
class Catalog {
  public:
    explicit Catalog(const Paths& paths) : paths_(paths) {}

    // Every name with a directory, sorted: also broken and unfinished ones.
    std::vector<ServiceName> names() const;
    bool is_installed(const ServiceName& name) const;
    // Empty where it is not installed; throws Error(broken).
    std::optional<Manifest> find(const ServiceName& name) const;
    // Throws Error(not_installed), with the nearest name where there is one.
    Manifest load(const ServiceName& name) const;
    void save(const Manifest& manifest) const;

  private:
    const Paths& paths_;
};

// The local tag that pins release N of S: repository and tag of "localhost/drunner:S.N".
inline constexpr std::string_view pin_repository = "localhost/drunner";
std::string pin_tag(const ServiceName& name, int release);
std::string pinned_image(const ServiceName& name, int release);
// The N of "localhost/drunner:S.N", 0 where the text is no pin of S.
int release_of_pin(const ServiceName& name, std::string_view image);
// "drunner-keep-S": the created, never started container that keeps images and volumes.
std::string keep_container(const ServiceName& name);
// The one that keeps the previous release's image, once there was an update.
std::string previous_keep_container(const ServiceName& name);

// Labels of everything that drunner makes in an engine.
namespace label {
inline constexpr const char* service = "drunner.service";
inline constexpr const char* path = "drunner.path";
inline constexpr const char* version = "drunner.version";
inline constexpr const char* installation = "drunner.installation";
inline constexpr const char* operation = "drunner.operation";  // the operation that made it
inline constexpr const char* scratch = "drunner.scratch";
inline constexpr const char* keep = "drunner.keep";
}  // namespace label

}  // namespace drunner
