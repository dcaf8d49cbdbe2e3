#include "service/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "service/operator_config.hpp"

namespace drunner {
namespace {

using Json = nlohmann::ordered_json;

constexpr int format_number = 1;

Error wrong(const std::string& message) {
    return Error(ErrorKind::broken, "service.json: " + message);
}

// A JSON object whose every field is read exactly once: a missing, unknown or mistyped one is an
// error, because saving what was only half understood would lose the rest.
class Fields {
  public:
    Fields(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
        if (!json.is_object()) {
            throw wrong((place_.empty() ? std::string("the whole") : "'" + place_ + "'") +
                        " is not an object");
        }
    }

    const Json& value(const char* name) {
        const auto found = json_.find(name);
        if (found == json_.end()) {
            throw wrong("'" + path(name) + "' is missing");
        }
        read_.insert(name);
        return *found;
    }
    std::string text(const char* name) { return as_text(value(name), path(name)); }
    bool flag(const char* name) {
        const Json& json = value(name);
        if (!json.is_boolean()) {
            throw wrong("'" + path(name) + "' is not true or false");
        }
        return json.get<bool>();
    }
    // Empty where the field is absent: of what only some services have.
    const Json* find(const char* name) {
        const auto found = json_.find(name);
        if (found == json_.end()) {
            return nullptr;
        }
        read_.insert(name);
        return &*found;
    }
    template <typename Number>
    Number number(const char* name) {
        const Json& json = value(name);
        if (!json.is_number_unsigned() ||
            json.get<std::uint64_t>() >
                static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) {
            throw wrong("'" + path(name) + "' is not a number from 0 to " +
                        std::to_string(std::numeric_limits<Number>::max()));
        }
        return json.get<Number>();
    }
    // Calls read(element, its place) for each element.
    template <typename Read>
    auto list(const char* name, Read read) {
        const Json& json = value(name);
        if (!json.is_array()) {
            throw wrong("'" + path(name) + "' is not a list");
        }
        std::vector<decltype(read(json, std::string()))> result;
        for (const Json& element : json) {
            result.push_back(read(element, path(name) + "[" + std::to_string(result.size()) + "]"));
        }
        return result;
    }
    std::vector<std::string> texts(const char* name) { return list(name, as_text); }
    std::map<std::string, std::string> text_map(const char* name) {
        const Json& json = value(name);
        if (!json.is_object()) {
            throw wrong("'" + path(name) + "' is not an object");
        }
        std::map<std::string, std::string> result;
        for (const auto& [key, element] : json.items()) {
            result.emplace(key, as_text(element, path(name) + "." + printable(key)));
        }
        return result;
    }
    void finish() const {
        for (const auto& [key, element] : json_.items()) {
            if (!read_.contains(key)) {
                throw wrong("'" + path(printable(key)) + "' is not a field that is known here");
            }
        }
    }

  private:
    static std::string as_text(const Json& json, const std::string& place) {
        if (!json.is_string()) {
            throw wrong("'" + place + "' is not a string");
        }
        return json.get<std::string>();
    }
    std::string path(const std::string& name) const {
        return place_.empty() ? name : place_ + "." + name;
    }

    const Json& json_;
    std::string place_;
    std::set<std::string> read_;
};

Json config_to_json(const ServiceConfig& config) {
    Json settings = Json::array();
    for (const SettingDeclaration& setting : config.settings) {
        settings.push_back(Json{{"name", setting.name},
                                {"required", setting.required},
                                {"default", setting.default_value},
                                {"text", setting.text},
                                {"type", setting.type}});
    }
    Json secrets = Json::array();
    for (const SecretDeclaration& secret : config.secrets) {
        Json declaration{
            {"name", secret.name}, {"required", secret.required}, {"text", secret.text}};
        if (secret.check) {
            declaration["check"] = true;
        }
        secrets.push_back(std::move(declaration));
    }
    return Json{{"volumes", config.volumes},    {"extra_containers", config.extra_containers},
                {"version", config.version},    {"hooks", config.hooks},
                {"selftest", config.selftest},  {"settings", std::move(settings)},
                {"after", config.after},        {"backup_exclude", config.backup_exclude},
                {"secrets", std::move(secrets)}};
}

ServiceConfig config_from_json(const Json& json, const std::string& place) {
    Fields fields(json, place);
    ServiceConfig config;
    config.volumes = fields.texts("volumes");
    config.extra_containers = fields.texts("extra_containers");
    config.version = fields.number<int>("version");
    config.hooks = fields.texts("hooks");
    config.selftest = fields.flag("selftest");
    config.settings = fields.list("settings", [](const Json& element, const std::string& where) {
        Fields setting(element, where);
        SettingDeclaration declaration{setting.text("name"), setting.flag("required"),
                                       setting.text("default"), setting.text("text"),
                                       setting.text("type")};
        setting.finish();
        return declaration;
    });
    config.after = fields.texts("after");
    config.backup_exclude = fields.texts("backup_exclude");
    config.secrets = fields.list("secrets", [](const Json& element, const std::string& where) {
        Fields secret(element, where);
        SecretDeclaration declaration{secret.text("name"), secret.flag("required"),
                                      secret.text("text"),
                                      secret.find("check") != nullptr && secret.flag("check")};
        secret.finish();
        return declaration;
    });
    fields.finish();
    return config;
}

Json release_to_json(const Release& release) {
    Json extra_images = Json::array();
    for (const ExtraImage& image : release.extra_images) {
        extra_images.push_back(
            Json{{"reference", image.reference}, {"id", image.id}, {"digest", image.digest}});
    }
    return Json{{"number", release.number},
                {"image_id", release.image_id},
                {"image_digest", release.image_digest},
                {"reference", release.reference},
                {"user", release.user},
                {"uid", release.uid},
                {"gid", release.gid},
                {"installed_at", release.installed_at},
                {"config", config_to_json(release.config)},
                {"extra_images", std::move(extra_images)},
                {"script_hashes", release.script_hashes},
                {"settings", release.settings}};
}

Release release_from_json(const Json& json, const std::string& place) {
    Fields fields(json, place);
    Release release;
    release.number = fields.number<int>("number");
    release.image_id = fields.text("image_id");
    release.image_digest = fields.text("image_digest");
    release.reference = fields.text("reference");
    release.user = fields.text("user");
    release.uid = fields.number<unsigned>("uid");
    release.gid = fields.number<unsigned>("gid");
    release.installed_at = fields.text("installed_at");
    release.config = config_from_json(fields.value("config"), place + ".config");
    release.extra_images =
        fields.list("extra_images", [](const Json& element, const std::string& where) {
            Fields image(element, where);
            ExtraImage extra{image.text("reference"), image.text("id"), image.text("digest")};
            image.finish();
            return extra;
        });
    release.script_hashes = fields.text_map("script_hashes");
    release.settings = fields.text_map("settings");
    fields.finish();
    return release;
}

BackupRecord backup_record_from_json(const Json& json) {
    Fields fields(json, "last_backup");
    BackupRecord record{fields.text("at"), fields.text("file"),
                        fields.number<std::uint64_t>("original_bytes"),
                        fields.number<std::uint64_t>("written_bytes")};
    fields.finish();
    return record;
}

DrillRecord drill_record_from_json(const Json& json) {
    Fields fields(json, "last_drill");
    DrillRecord record{fields.text("at"), fields.text("file"), fields.flag("passed"),
                       fields.text("reason")};
    fields.finish();
    return record;
}

ServiceName name_of(const std::string& text) {
    if (!ServiceName::is_valid(text)) {
        throw wrong("'name' is '" + printable(text) + "', which is no service's name");
    }
    return ServiceName(text);
}

void check_numbers(const Manifest& manifest) {
    std::set<int> numbers;
    for (const Release& release : manifest.releases) {
        if (release.number < 1 || !numbers.insert(release.number).second) {
            throw wrong("'releases' has the number " + std::to_string(release.number) +
                        " twice, or it is no number of a release");
        }
    }
    if (!numbers.contains(manifest.current)) {
        throw wrong("'current' is " + std::to_string(manifest.current) +
                    ", which is not among 'releases'");
    }
    if (manifest.previous != 0 && !numbers.contains(manifest.previous)) {
        throw wrong("'previous' is " + std::to_string(manifest.previous) +
                    ", which is not among 'releases'");
    }
}

void check_format(const Json& json) {
    const auto format = json.is_object() ? json.find("format") : json.end();
    if (!json.is_object() || format == json.end() || !format->is_number_unsigned()) {
        throw wrong("'format' is missing");
    }
    const auto number = format->get<std::uint64_t>();
    if (number > format_number) {
        const auto writer = json.find("written_by");
        const std::string version = writer != json.end() && writer->is_string()
                                        ? printable(writer->get<std::string>())
                                        : std::string();
        throw Error(ErrorKind::broken,
                    "service.json has format " + std::to_string(number) + ", written by drunner " +
                        (version.empty() ? "of a later version" : version) +
                        "; this one reads format " + std::to_string(format_number),
                    version.empty() ? "install the newest drunner"
                                    : "install drunner " + version + " or later");
    }
    if (number != format_number) {
        throw wrong("'format' is " + std::to_string(number) + ", which never existed");
    }
}

}  // namespace

const Release& Manifest::release() const {
    const Release* found = find_release(current);
    if (found == nullptr) {
        throw Error(ErrorKind::broken,
                    "'" + name.text() + "' has no release " + std::to_string(current));
    }
    return *found;
}

const Release* Manifest::find_release(int number) const {
    const auto found = std::find_if(releases.begin(), releases.end(), [&](const Release& release) {
        return release.number == number;
    });
    return found == releases.end() ? nullptr : &*found;
}

std::string to_json(const Manifest& manifest) {
    Json releases = Json::array();
    for (const Release& release : manifest.releases) {
        releases.push_back(release_to_json(release));
    }
    Json volumes = Json::array();
    for (const ManagedVolume& volume : manifest.volumes) {
        volumes.push_back(
            Json{{"path", volume.path}, {"name", volume.name}, {"adopted", volume.adopted}});
    }
    Json json{{"format", format_number},
              {"written_by", DRUNNER_VERSION},
              {"name", manifest.name.text()},
              {"installation", manifest.installation},
              {"engine_socket", manifest.engine_socket},
              {"launcher", manifest.launcher},
              {"pull", manifest.pull},
              {"current", manifest.current},
              {"previous", manifest.previous},
              {"releases", std::move(releases)},
              {"volumes", std::move(volumes)},
              {"pulled", manifest.pulled},
              {"failed_digests", manifest.failed_digests},
              {"settings", manifest.settings},
              {"secrets", manifest.secrets}};
    if (manifest.hold) {
        json["hold"] = Json{{"since", manifest.hold->since}, {"until", manifest.hold->until}};
    }
    if (const auto& backup = manifest.last_backup) {
        json["last_backup"] = {{"at", backup->at},
                               {"file", backup->file},
                               {"original_bytes", backup->original_bytes},
                               {"written_bytes", backup->written_bytes}};
    }
    if (const auto& drill = manifest.last_drill) {
        json["last_drill"] = {{"at", drill->at},
                              {"file", drill->file},
                              {"passed", drill->passed},
                              {"reason", drill->reason}};
    }
    if (!manifest.drill_of.empty()) {
        json["drill_of"] = manifest.drill_of;
    }
    return json.dump(2) + "\n";
}

Manifest manifest_from_json(std::string_view text) {
    Json json;
    try {
        json = Json::parse(text);
    } catch (const Json::parse_error& error) {
        throw wrong("it is not JSON, byte " + std::to_string(error.byte));
    }
    check_format(json);
    Fields fields(json, "");
    fields.value("format");
    fields.text("written_by");
    Manifest manifest{name_of(fields.text("name")),
                      fields.text("installation"),
                      fields.text("engine_socket"),
                      fields.text("launcher"),
                      fields.text("pull"),
                      fields.number<int>("current"),
                      fields.number<int>("previous"),
                      fields.list("releases", release_from_json),
                      fields.list("volumes",
                                  [](const Json& element, const std::string& where) {
                                      Fields volume(element, where);
                                      ManagedVolume managed{volume.text("path"),
                                                            volume.text("name"),
                                                            volume.flag("adopted")};
                                      volume.finish();
                                      return managed;
                                  }),
                      fields.texts("pulled"),
                      fields.texts("failed_digests"),
                      fields.text_map("settings"),
                      fields.texts("secrets")};
    if (const Json* held = fields.find("hold")) {
        Fields hold(*held, "hold");
        manifest.hold = Hold{hold.text("since"), hold.number<std::int64_t>("until")};
        hold.finish();
    }
    if (const Json* backup = fields.find("last_backup")) {
        manifest.last_backup = backup_record_from_json(*backup);
    }
    if (const Json* drill = fields.find("last_drill")) {
        manifest.last_drill = drill_record_from_json(*drill);
    }
    if (fields.find("drill_of") != nullptr) {
        manifest.drill_of = fields.text("drill_of");
    }
    fields.finish();
    if (!manifest.pull.empty() && !parse_pull_policy(manifest.pull)) {
        throw wrong("'pull' is '" + printable(manifest.pull) +
                    "', where auto, always, missing or never is meant");
    }
    check_numbers(manifest);
    return manifest;
}

std::vector<ServiceName> Catalog::names() const {
    std::vector<ServiceName> result;
    for (const std::string& entry : directory_entries(paths_.services())) {
        if (ServiceName::is_valid(entry) &&
            file_type(paths_.services() + "/" + entry) == FileType::directory) {
            result.emplace_back(entry);
        }
    }
    return result;
}

bool Catalog::is_installed(const ServiceName& name) const {
    return exists(paths_.manifest(name));
}

std::optional<Manifest> Catalog::find(const ServiceName& name) const {
    if (!is_installed(name)) {
        return std::nullopt;
    }
    const auto way_out = "drunner recover " + name.text();
    try {
        Manifest manifest = manifest_from_json(read_file(paths_.manifest(name)));
        if (manifest.name != name) {
            throw wrong("'name' is '" + manifest.name.text() + "'");
        }
        return manifest;
    } catch (const Error& error) {
        throw Error(error.kind(), "'" + name.text() + "': " + error.what(),
                    error.next().empty() ? way_out : error.next());
    }
}

Manifest Catalog::load(const ServiceName& name) const {
    std::optional<Manifest> manifest = find(name);
    if (manifest) {
        return *std::move(manifest);
    }
    const std::string message = "'" + name.text() + "' is not installed";
    if (exists(paths_.service(name))) {
        throw Error(ErrorKind::not_installed,
                    message + ", but '" + paths_.service(name) + "' exists",
                    "drunner recover " + name.text());
    }
    std::vector<std::string> candidates;
    for (const ServiceName& installed : names()) {
        candidates.push_back(installed.text());
    }
    const std::string near = nearest(name.text(), candidates);
    throw Error(ErrorKind::not_installed, near.empty() ? message : message + ", '" + near + "' is",
                "drunner list");
}

void Catalog::save(const Manifest& manifest) const {
    make_directories(paths_.service(manifest.name));
    write_file(paths_.manifest(manifest.name), to_json(manifest));
}

std::string pin_tag(const ServiceName& name, int release) {
    return name.text() + "." + std::to_string(release);
}

std::string pinned_image(const ServiceName& name, int release) {
    return std::string(pin_repository) + ":" + pin_tag(name, release);
}

std::string keep_container(const ServiceName& name) {
    return "drunner-keep-" + name.text();
}

std::string previous_keep_container(const ServiceName& name) {
    // Upper case cannot stand in a service's name, so no service's own keep is called this.
    return keep_container(name) + ".PREVIOUS";
}

int release_of_pin(const ServiceName& name, std::string_view image) {
    const std::string before = std::string(pin_repository) + ":" + name.text() + ".";
    if (!image.starts_with(before)) {
        return 0;
    }
    image.remove_prefix(before.size());
    int number = 0;
    const auto [end, error] = std::from_chars(image.data(), image.data() + image.size(), number);
    return error == std::errc() && end == image.data() + image.size() ? number : 0;
}

}  // namespace drunner
