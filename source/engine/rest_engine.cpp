#include "engine/rest_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/attached_stream.hpp"
#include "engine/engine_streams.hpp"
#include "engine/http.hpp"
#include "engine/image_config.hpp"
#include "engine/json_fields.hpp"
#include "engine/pull_error.hpp"

namespace drunner {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

struct ApiVersion {
    int major = 0;
    int minor = 0;
    auto operator<=>(const ApiVersion&) const = default;  // NOLINT(modernize-use-nullptr)
    std::string text() const { return std::to_string(major) + "." + std::to_string(minor); }
};

constexpr ApiVersion oldest_spoken{1, 41};
constexpr ApiVersion newest_spoken{1, 47};

// How many of the engine's words go into a message.
constexpr std::size_t longest_words = 500;
constexpr std::size_t shortest_id = 12;
constexpr std::size_t full_id = 64;

ApiVersion parse_version(const std::string& text) {
    ApiVersion version;
    char rest = '\0';
    if (std::sscanf(text.c_str(), "%d.%d%c", &version.major, &version.minor, &rest) != 2) {
        throw Error(ErrorKind::engine_refused,
                    "what answers on the engine's socket is not a container engine: its API "
                    "version is '" +
                        printable(text) + "'");
    }
    return version;
}

bool is_hex(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// The engine takes any beginning of an id for the object, however short, and a name may look like
// one: such a text must be looked up before it can be trusted.
bool may_be_id_prefix(std::string_view text) {
    return is_hex(text) && text.size() < full_id;
}

bool names_by_id(std::string_view text, std::string_view id) {
    return is_hex(text) && text.size() >= shortest_id && id.starts_with(text);
}

// The engine's documents leave out or null what is empty, and differ in this between versions:
// this reader, like those of json_fields.hpp, answers the empty value for everything that is not of
// the expected type.

bool flag_of(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_boolean() && value.get<bool>();
}

std::vector<Mount> mounts_of(const json& object) {
    std::vector<Mount> mounts;
    const json& listed = member(object, "Mounts");
    if (!listed.is_array()) {
        return mounts;
    }
    for (const json& entry : listed) {
        Mount mount;
        if (text_of(entry, "Type") == "volume") {
            mount.volume = text_of(entry, "Name");
        } else {
            mount.source = text_of(entry, "Source");
        }
        mount.path = text_of(entry, "Destination");
        mount.read_only = !flag_of(entry, "RW");
        mounts.push_back(std::move(mount));
    }
    return mounts;
}

std::string without_slash(std::string name) {
    if (name.starts_with('/')) {
        name.erase(0, 1);
    }
    return name;
}

Volume volume_of(const json& document) {
    Volume volume;
    volume.name = text_of(document, "Name");
    volume.driver = text_of(document, "Driver");
    volume.mountpoint = text_of(document, "Mountpoint");
    volume.created_at = text_of(document, "CreatedAt");
    volume.labels = pairs_of(document, "Labels");
    volume.options = pairs_of(document, "Options");
    return volume;
}

Container container_of(const json& document) {
    const json& config = member(document, "Config");
    const json& state = member(document, "State");
    Container container;
    container.id = text_of(document, "Id");
    container.name = without_slash(text_of(document, "Name"));
    container.image = text_of(config, "Image");
    container.image_id = text_of(document, "Image");
    container.state = text_of(state, "Status");
    container.exit_code = static_cast<int>(number_of(state, "ExitCode"));
    container.restart_count = static_cast<int>(number_of(document, "RestartCount"));
    container.health = text_of(member(state, "Health"), "Status");
    if (container.health == "none") {
        container.health.clear();
    }
    container.started_at = text_of(state, "StartedAt");
    container.user = text_of(config, "User");
    container.labels = pairs_of(config, "Labels");
    container.mounts = mounts_of(document);
    return container;
}

ContainerSummary summary_of(const json& document) {
    ContainerSummary summary;
    summary.id = text_of(document, "Id");
    for (const std::string& name : texts_of(document, "Names")) {
        // "/other/alias" is a link's name for it.
        const std::string own = without_slash(name);
        if (own.find('/') == std::string::npos) {
            summary.name = own;
        }
    }
    summary.image = text_of(document, "Image");
    summary.image_id = text_of(document, "ImageID");
    summary.state = text_of(document, "State");
    summary.status = text_of(document, "Status");
    summary.labels = pairs_of(document, "Labels");
    summary.mounts = mounts_of(document);
    summary.created = number_of(document, "Created");
    return summary;
}

std::vector<std::string> layers_of(const json& document) {
    const json& driver = member(document, "GraphDriver");
    const std::string name = text_of(driver, "Name");
    const json& data = member(driver, "Data");
    const std::string upper = text_of(data, "UpperDir");
    if ((name != "overlay2" && name != "overlay") || upper.empty()) {
        return {};
    }
    std::vector<std::string> layers = {upper};
    if (const std::string lower = text_of(data, "LowerDir"); !lower.empty()) {
        for (std::string& layer : split(lower, ':')) {
            layers.push_back(std::move(layer));
        }
    }
    return layers;
}

Image image_of(const json& document) {
    Image image;
    image.id = text_of(document, "Id");
    image.tags = texts_of(document, "RepoTags");
    image.digests = texts_of(document, "RepoDigests");
    read_image_config(member(document, "Config"), image);
    image.os = text_of(document, "Os");
    image.architecture = text_of(document, "Architecture");
    image.size = static_cast<std::uint64_t>(number_of(document, "Size"));
    image.layers = layers_of(document);
    return image;
}

bool has_labels(const Labels& labels, const std::vector<std::string>& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
        const std::size_t equals = text.find('=');
        const auto found = labels.find(text.substr(0, equals));
        return found != labels.end() &&
               (equals == std::string::npos || found->second == text.substr(equals + 1));
    });
}

// The engine's own filters, which take a name for a regular expression or a part: what comes back
// is filtered again. A name that is no object's is left to that.
std::string filters_of(const ObjectFilter& filter, const std::vector<std::string>& states = {}) {
    json filters = json::object();
    if (!states.empty()) {
        filters["status"] = states;
    }
    if (!filter.labels.empty()) {
        filters["label"] = filter.labels;
    }
    if (!filter.name.empty()) {
        filters["name"] = json::array({filter.name});
    }
    if (!filter.volume.empty()) {
        filters["volume"] = json::array({filter.volume});
    }
    return percent_encoded(filters.dump(-1, ' ', true, json::error_handler_t::replace));
}

bool is_object_name(std::string_view name) {
    return !name.empty() &&
           name.find_first_not_of(
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               std::string_view::npos;
}

std::string words_of(const HttpResponse& response) {
    const json document = json::parse(response.body, nullptr, false);
    std::string words = text_of(document, "message");
    if (words.empty()) {
        words = trim(response.body);
    }
    if (words.empty()) {
        words = "HTTP status " + std::to_string(response.status);
    }
    return printable(words.substr(0, longest_words));
}

std::string in_quotes(std::string_view text) {
    return "'" + printable(text) + "'";
}

json body_of(const ContainerSpec& spec) {
    json body{{"Image", spec.image}};
    if (!spec.entrypoint.empty()) {
        body["Entrypoint"] = spec.entrypoint;
    }
    if (!spec.command.empty()) {
        body["Cmd"] = spec.command;
    }
    if (!spec.user.empty()) {
        body["User"] = spec.user;
    }
    if (!spec.labels.empty()) {
        body["Labels"] = spec.labels;
    }
    json host = json::object();
    json mounts = json::array();
    for (const VolumeMount& mount : spec.mounts) {
        mounts.push_back({{"Type", "volume"},
                          {"Source", mount.volume},
                          {"Target", mount.path},
                          {"VolumeOptions", {{"NoCopy", !mount.copy_image_content}}}});
    }
    if (!mounts.empty()) {
        host["Mounts"] = std::move(mounts);
    }
    if (spec.confined) {
        constexpr std::int64_t memory = 128LL << 20U;
        host["NetworkMode"] = "none";
        host["ReadonlyRootfs"] = true;
        host["CapDrop"] = {"ALL"};
        host["SecurityOpt"] = {"no-new-privileges"};
        host["Memory"] = memory;
        host["MemorySwap"] = memory;
        host["PidsLimit"] = 64;
        // The daemon's default driver may be one that cannot be read back.
        host["LogConfig"] = {{"Type", "json-file"}, {"Config", {{"max-size", "16m"}}}};
    }
    body["HostConfig"] = std::move(host);
    return body;
}

// Podman tells a container's limits by names that it does not take: "RLIMIT_NOFILE" is "nofile".
std::string with_known_limits(std::string_view body) {
    json document = json::parse(body, nullptr, false);
    const json& told = member(member(document, "HostConfig"), "Ulimits");
    if (!told.is_array()) {
        return std::string(body);
    }
    constexpr std::string_view prefix = "RLIMIT_";
    for (json& limit : document["HostConfig"]["Ulimits"]) {
        std::string name = text_of(limit, "Name");
        if (name.starts_with(prefix)) {
            name.erase(0, prefix.size());
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
            limit["Name"] = name;
        }
    }
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

class RestEngine final : public Engine {
  public:
    RestEngine(const std::string& socket, EngineLimits limits)
        : socket_(socket), limits_(limits), http_(server_at(socket)) {}

    EngineInfo info() override;
    std::optional<Image> find_image(std::string_view reference) override;
    std::vector<ImageTag> list_tags(std::string_view repository) override;
    void pull_image(const ImageReference& reference, const RegistryAuth& auth,
                    Progress& progress) override;
    std::optional<std::string> distribution_digest(const ImageReference& reference,
                                                   const RegistryAuth& auth) override;
    void tag_image(std::string_view image, std::string_view repository,
                   std::string_view tag) override;
    bool remove_image(std::string_view reference) override;

    void save_image(std::string_view id, const ByteSink& tar) override;
    void load_image(const ByteSource& tar, Progress& progress) override;
    std::string import_image(const ByteSource& tar, std::string_view repository,
                             std::string_view tag) override;

    std::string create_container(const ContainerSpec& spec) override;
    std::string create_container_from(std::string_view name, std::string_view body) override;
    std::optional<Container> find_container(std::string_view container) override;
    std::vector<ContainerSummary> list_containers(const ObjectFilter& filter) override;
    void start_container(std::string_view container) override;
    void stop_container(std::string_view container, std::chrono::seconds grace) override;
    void pause_container(std::string_view container) override;
    void unpause_container(std::string_view container) override;
    void set_restart_policy(std::string_view container, std::string_view policy,
                            unsigned retries) override;
    int wait_container(std::string_view container, std::chrono::seconds limit) override;
    bool remove_container(std::string_view container) override;
    void read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                   const ByteSink& err) override;
    void follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                     const ByteSink& err) override;
    int exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
             const ByteSink& err) override;
    void follow_events(std::int64_t since, std::chrono::seconds limit,
                       const std::function<void(const ContainerEvent&)>& sink) override;
    void read_archive(std::string_view container, std::string_view path,
                      const ByteSink& tar) override;
    void write_archive(std::string_view container, std::string_view path,
                       const ByteSource& tar) override;

    Volume create_volume(std::string_view name, const Labels& labels) override;
    std::optional<Volume> find_volume(std::string_view name) override;
    std::vector<Volume> list_volumes(const ObjectFilter& filter) override;
    bool remove_volume(std::string_view name) override;

    std::string create_network(std::string_view name, const Labels& labels) override;
    std::vector<Network> list_networks(const ObjectFilter& filter) override;
    bool remove_network(std::string_view network) override;

  private:
    static HttpServer server_at(const std::string& socket) {
        HttpServer server;
        server.base = "http://engine";
        server.unix_socket = socket;
        return server;
    }

    // `what` names the call for messages: "create container 'x'".
    HttpResponse send(HttpRequest request, const std::string& what, const ByteSink& sink = {});
    HttpRequest request(std::string method, const std::string& path, milliseconds idle);
    [[noreturn]] void refuse(const HttpResponse& response, const std::string& what) const;
    HttpResponse expect(const HttpRequest& request, const std::string& what,
                        const ByteSink& sink = {});
    json document(const HttpResponse& response, const std::string& what) const;
    json ask(const std::string& path, const std::string& what);
    // The same for what answers an array; null is one too.
    json ask_list(const std::string& path, const std::string& what);
    // Empty where the engine answers 404.
    std::optional<json> find(const std::string& path, const std::string& what);
    void change(std::string_view container, const std::string& action, const std::string& what);
    std::string api();
    bool is_podman();
    void fill_volumes(ContainerSpec spec, const std::string& what);
    std::string container_path(std::string_view container, const std::string& what);
    void await_removal(const std::string& container, const std::string& what);
    std::string create(std::string_view name, std::string_view body, const std::string& what);
    json post(const std::string& path, const json& body, const std::string& what);
    void stream_logs(std::string_view container, unsigned last_lines, bool follow,
                     const ByteSink& out, const ByteSink& err);

    std::string socket_;
    EngineLimits limits_;
    Http http_;
    std::mutex negotiation_;
    std::string api_;      // "/v1.41"; guarded by negotiation_
    bool podman_ = false;  // guarded by negotiation_, known with api_
};

HttpResponse RestEngine::send(HttpRequest request, const std::string& what, const ByteSink& sink) {
    request.limits.connect = limits_.connect;
    try {
        return http_.perform(request, sink);
    } catch (const HttpFailure& failure) {
        const auto told = [&](ErrorKind kind, const std::string& message, std::string next = "") {
            return Error(kind, "cannot " + what + ": " + message, std::move(next));
        };
        switch (failure.cause()) {
            case HttpFailure::Cause::unreachable:
                throw socket_error(socket_, failure.error_number());
            case HttpFailure::Cause::timed_out:
                throw told(ErrorKind::timed_out, "the container engine did not answer in time",
                           "systemctl status docker");
            case HttpFailure::Cause::too_large:
                throw told(ErrorKind::engine_refused, failure.what());
            case HttpFailure::Cause::broken:
            case HttpFailure::Cause::untrusted:
                break;
        }
        throw told(ErrorKind::engine_unreachable,
                   "the container engine's answer ended early: " + std::string(failure.what()),
                   "systemctl status docker");
    }
}

// Every engine answers /_ping and /version below no version.
std::string RestEngine::api() {
    const std::lock_guard lock(negotiation_);
    if (!api_.empty()) {
        return api_;
    }
    const std::string what = "ask the container engine for its version";
    HttpRequest ping;
    ping.path = "/_ping";
    ping.limits.idle = limits_.answer;
    const HttpResponse answer = expect(ping, what);
    const ApiVersion newest = parse_version(answer.header("api-version"));
    if (newest < oldest_spoken) {
        throw Error(ErrorKind::engine_refused,
                    "the container engine is too old: it speaks API " + newest.text() +
                        ", drunner needs " + oldest_spoken.text() + " (Docker 20.10)",
                    "docker version");
    }
    if (newest > newest_spoken) {
        HttpRequest request = std::move(ping);
        request.path = "/version";
        const std::string oldest = text_of(document(expect(request, what), what), "MinAPIVersion");
        if (!oldest.empty() && parse_version(oldest) > newest_spoken) {
            throw Error(ErrorKind::engine_refused,
                        "the container engine is too new: it speaks API " + printable(oldest) +
                            " and newer, this drunner " + newest_spoken.text() + " and older",
                        "drunner --version");
        }
    }
    podman_ = !answer.header("libpod-api-version").empty();
    api_ = "/v" + std::min(newest, newest_spoken).text();
    return api_;
}

bool RestEngine::is_podman() {
    api();
    const std::lock_guard lock(negotiation_);
    return podman_;
}

HttpRequest RestEngine::request(std::string method, const std::string& path, milliseconds idle) {
    HttpRequest request;
    request.method = std::move(method);
    request.path = api() + path;
    request.limits.idle = idle;
    return request;
}

void RestEngine::refuse(const HttpResponse& response, const std::string& what) const {
    const std::string words = words_of(response);
    const std::string message = "cannot " + what + ": " + words;
    if (response.status == 404) {
        throw Error(ErrorKind::engine_not_found, message);
    }
    // Podman answers 500 where Docker does 409.
    constexpr std::array<std::string_view, 3> conflicts{"already in use", "state improper",
                                                        "with more than one tag"};
    const bool is_conflict =
        response.status == 409 ||
        std::any_of(conflicts.begin(), conflicts.end(),
                    [&](std::string_view sign) { return words.find(sign) != std::string::npos; });
    throw Error(is_conflict ? ErrorKind::engine_conflict : ErrorKind::engine_refused, message);
}

HttpResponse RestEngine::expect(const HttpRequest& request, const std::string& what,
                                const ByteSink& sink) {
    HttpResponse response = send(request, what, sink);
    // 304: it is already so.
    if (!response.succeeded() && response.status != 304) {
        refuse(response, what);
    }
    return response;
}

json RestEngine::document(const HttpResponse& response, const std::string& what) const {
    json parsed = json::parse(response.body, nullptr, false);
    if (parsed.is_discarded()) {
        throw Error(ErrorKind::engine_refused,
                    "cannot " + what + ": the container engine's answer is not JSON");
    }
    return parsed;
}

json RestEngine::ask(const std::string& path, const std::string& what) {
    return document(expect(request("GET", path, limits_.answer), what), what);
}

json RestEngine::ask_list(const std::string& path, const std::string& what) {
    json answer = ask(path, what);
    return answer.is_array() ? answer : json::array();
}

std::optional<json> RestEngine::find(const std::string& path, const std::string& what) {
    const HttpResponse response = send(request("GET", path, limits_.answer), what);
    if (response.status == 404) {
        return std::nullopt;
    }
    if (!response.succeeded()) {
        refuse(response, what);
    }
    return document(response, what);
}

EngineInfo RestEngine::info() {
    const std::string what = "ask the container engine about itself";
    const json host = ask("/info", what);
    EngineInfo info;
    for (const std::string& option : texts_of(host, "SecurityOptions")) {
        const std::string name = option.substr(0, option.find(','));
        info.user_namespaces =
            info.user_namespaces || name == "name=userns" || name == "name=rootless";
    }
    info.processors = static_cast<unsigned>(std::max<std::int64_t>(number_of(host, "NCPU"), 0));
    info.root_directory = text_of(host, "DockerRootDir");
    info.architecture = text_of(host, "Architecture");
    const json& registries = member(host, "RegistryConfig");
    info.insecure_registries = texts_of(registries, "InsecureRegistryCIDRs");
    const json& indexes = member(registries, "IndexConfigs");
    if (indexes.is_object()) {
        for (const auto& [name, index] : indexes.items()) {
            if (index.is_object() && index.contains("Secure") && !flag_of(index, "Secure")) {
                info.insecure_registries.push_back(name);
            }
        }
    }
    return info;
}

std::optional<Image> RestEngine::find_image(std::string_view reference) {
    const auto found = find("/images/" + percent_encoded(reference, "/:@") + "/json",
                            "look at image " + in_quotes(reference));
    if (!found) {
        return std::nullopt;
    }
    Image image = image_of(*found);
    if (may_be_id_prefix(reference) && reference.size() < shortest_id) {
        const bool is_tagged = std::any_of(
            image.tags.begin(), image.tags.end(),
            [&](const std::string& tag) { return ImageReference(tag).last_part() == reference; });
        if (!is_tagged) {
            return std::nullopt;
        }
    }
    return image;
}

void RestEngine::pull_image(const ImageReference& reference, const RegistryAuth& auth,
                            Progress& progress) {
    const std::string what = "pull " + in_quotes(reference.text());
    HttpRequest pull =
        request("POST",
                "/images/create?fromImage=" + percent_encoded(reference.repository()) +
                    "&tag=" + percent_encoded(reference.manifest()),
                limits_.pull);
    if (!auth.header.empty()) {
        pull.headers.push_back("X-Registry-Auth: " + auth.header);
    }
    PullMessages messages(reference, !auth.header.empty(), progress);
    const HttpResponse response =
        send(std::move(pull), what, [&](Bytes bytes) { messages.write(bytes); });
    if (!response.succeeded()) {
        throw pull_error(reference, words_of(response), !auth.header.empty());
    }
    messages.finish();
    if (!find_image(reference.engine_name())) {
        throw pull_error(reference, "the engine reports success, and lacks the image",
                         !auth.header.empty());
    }
}

std::optional<std::string> RestEngine::distribution_digest(const ImageReference& reference,
                                                           const RegistryAuth& auth) {
    const std::string what = "ask for the digest of " + in_quotes(reference.text());
    HttpRequest question = request(
        "GET",
        "/distribution/" +
            percent_encoded(reference.repository() + (reference.digest().empty() ? ":" : "@") +
                                reference.manifest(),
                            "/:@") +
            "/json",
        limits_.answer);
    if (!auth.header.empty()) {
        question.headers.push_back("X-Registry-Auth: " + auth.header);
    }
    const HttpResponse response = send(std::move(question), what);
    if (!response.succeeded()) {
        const std::string words = words_of(response);
        // An engine without this endpoint says so of the path, in its router's words.
        if (response.status == 404 &&
            (words == "page not found" || words.ends_with("is not supported") ||
             !json::parse(response.body, nullptr, false).is_object())) {
            return std::nullopt;
        }
        throw pull_error(reference, words, !auth.header.empty());
    }
    const std::string digest = text_of(member(document(response, what), "Descriptor"), "digest");
    return digest.empty() ? std::nullopt : std::optional(digest);
}

void RestEngine::tag_image(std::string_view image, std::string_view repository,
                           std::string_view tag) {
    expect(request("POST",
                   "/images/" + percent_encoded(image, "/:@") +
                       "/tag?repo=" + percent_encoded(repository) + "&tag=" + percent_encoded(tag),
                   limits_.work),
           "tag image " + in_quotes(image));
}

std::vector<ImageTag> RestEngine::list_tags(std::string_view repository) {
    const json filters{{"reference", json::array({std::string(repository)})}};
    const std::string before = std::string(repository) + ":";
    std::vector<ImageTag> tags;
    for (const json& entry :
         ask_list("/images/json?filters=" + percent_encoded(filters.dump()), "list images")) {
        for (std::string& tag : texts_of(entry, "RepoTags")) {
            if (tag.starts_with(before)) {
                tags.push_back({text_of(entry, "Id"), std::move(tag)});
            }
        }
    }
    return tags;
}

bool RestEngine::remove_image(std::string_view reference) {
    const std::string what = "remove image " + in_quotes(reference);
    if (may_be_id_prefix(reference) && !find_image(reference)) {
        return false;
    }
    const HttpResponse response =
        send(request("DELETE", "/images/" + percent_encoded(reference, "/:@"), limits_.work), what);
    if (response.status == 404) {
        return false;
    }
    if (!response.succeeded()) {
        refuse(response, what);
    }
    return true;
}

json RestEngine::post(const std::string& path, const json& body, const std::string& what) {
    HttpRequest change = request("POST", path, limits_.work);
    change.headers.emplace_back("Content-Type: application/json");
    change.body = body.dump();
    return document(expect(change, what), what);
}

std::string RestEngine::create(std::string_view name, std::string_view body,
                               const std::string& what) {
    HttpRequest creation = request(
        "POST",
        name.empty() ? "/containers/create" : "/containers/create?name=" + percent_encoded(name),
        limits_.work);
    creation.headers.emplace_back("Content-Type: application/json");
    creation.body = body;
    return text_of(document(expect(creation, what), what), "Id");
}

// Docker gives an empty volume the image's content and owner when a container is made, Podman when
// its first one starts, whichever that is, also to a volume that was given an owner meanwhile. One
// whose program cannot exist gets exactly so far, and runs nothing. The other volumes are not in
// it: a mount's NoCopy says nothing to Podman.
void RestEngine::fill_volumes(ContainerSpec spec, const std::string& what) {
    std::erase_if(spec.mounts, [](const VolumeMount& mount) { return !mount.copy_image_content; });
    json body = body_of(spec);
    body["Entrypoint"] = {"/.drunner/no-program"};
    body["Cmd"] = json::array();
    body["HostConfig"]["NetworkMode"] = "none";
    const std::string container = create(spec.name, body.dump(), what);
    HttpRequest start;
    start.method = "POST";
    start.path = "/v4.0.0/libpod/containers/" + container + "/init";
    start.limits.idle = limits_.work;
    const HttpResponse response = send(std::move(start), what);
    remove_container(container);
    if (!response.succeeded() && words_of(response).find("not found") == std::string::npos) {
        refuse(response, what);
    }
}

std::string RestEngine::create_container(const ContainerSpec& spec) {
    const std::string what =
        "create container " +
        (spec.name.empty() ? "of image " + in_quotes(spec.image) : in_quotes(spec.name));
    const bool fills =
        std::any_of(spec.mounts.begin(), spec.mounts.end(),
                    [](const VolumeMount& mount) { return mount.copy_image_content; });
    if (fills && is_podman()) {
        fill_volumes(spec, what);
    }
    json body = body_of(spec);
    try {
        return create(spec.name, body.dump(), what);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::engine_refused || !spec.entrypoint.empty() ||
            !spec.command.empty()) {
            throw;
        }
        const auto image = find_image(spec.image);
        if (!image || !image->entrypoint.empty() || !image->command.empty()) {
            throw;
        }
    }
    // An image that names no program: the container is not for starting, but the engine wants one.
    body["Cmd"] = {"none"};
    return create(spec.name, body.dump(), what);
}

std::string RestEngine::create_container_from(std::string_view name, std::string_view body) {
    const std::string what = "create container " + in_quotes(name);
    return create(name, is_podman() ? with_known_limits(body) : std::string(body), what);
}

std::optional<Container> RestEngine::find_container(std::string_view container) {
    const std::string what = "look at container " + in_quotes(container);
    const HttpResponse response =
        send(request("GET", "/containers/" + percent_encoded(container) + "/json", limits_.answer),
             what);
    if (response.status == 404) {
        return std::nullopt;
    }
    if (!response.succeeded()) {
        refuse(response, what);
    }
    Container found = container_of(document(response, what));
    if (found.name != container && !names_by_id(container, found.id)) {
        return std::nullopt;
    }
    found.document = response.body;
    return found;
}

std::string RestEngine::container_path(std::string_view container, const std::string& what) {
    std::string id(container);
    if (may_be_id_prefix(container)) {
        const auto found = find_container(container);
        if (!found) {
            throw Error(ErrorKind::engine_not_found,
                        "cannot " + what + ": there is no container " + in_quotes(container));
        }
        id = found->id;
    }
    return "/containers/" + percent_encoded(id);
}

std::vector<ContainerSummary> RestEngine::list_containers(const ObjectFilter& filter) {
    std::vector<ContainerSummary> containers;
    if (!filter.name.empty() && !is_object_name(filter.name)) {
        return containers;
    }
    // Podman leaves out what is paused where it is not asked for by its state.
    const bool all = !filter.running || is_podman();
    const std::vector<std::string> states = filter.running && all
                                                ? std::vector<std::string>{"running", "paused"}
                                                : std::vector<std::string>();
    for (const json& entry : ask_list(std::string("/containers/json?all=") + (all ? "1" : "0") +
                                          "&filters=" + filters_of(filter, states),
                                      "list containers")) {
        ContainerSummary container = summary_of(entry);
        const bool mounts_it =
            filter.volume.empty() ||
            std::any_of(container.mounts.begin(), container.mounts.end(),
                        [&](const Mount& mount) { return mount.volume == filter.volume; });
        if (mounts_it && (filter.name.empty() || container.name == filter.name) &&
            has_labels(container.labels, filter.labels)) {
            containers.push_back(std::move(container));
        }
    }
    return containers;
}

void RestEngine::change(std::string_view container, const std::string& action,
                        const std::string& what) {
    expect(request("POST", container_path(container, what) + action, limits_.work), what);
}

void RestEngine::start_container(std::string_view container) {
    change(container, "/start", "start container " + in_quotes(container));
}

void RestEngine::stop_container(std::string_view container, std::chrono::seconds grace) {
    const std::string what = "stop container " + in_quotes(container);
    expect(request("POST",
                   container_path(container, what) + "/stop?t=" + std::to_string(grace.count()),
                   limits_.work + grace),
           what);
}

void RestEngine::set_restart_policy(std::string_view container, std::string_view policy,
                                    unsigned retries) {
    const std::string what = "set the restart policy of container " + in_quotes(container);
    post(container_path(container, what) + "/update",
         {{"RestartPolicy", {{"Name", policy}, {"MaximumRetryCount", retries}}}}, what);
}

void RestEngine::pause_container(std::string_view container) {
    change(container, "/pause", "pause container " + in_quotes(container));
}

void RestEngine::unpause_container(std::string_view container) {
    change(container, "/unpause", "unpause container " + in_quotes(container));
}

int RestEngine::wait_container(std::string_view container, std::chrono::seconds limit) {
    const std::string what = "wait for container " + in_quotes(container);
    HttpRequest wait = request("POST", container_path(container, what) + "/wait", milliseconds{0});
    wait.limits.total = std::max<milliseconds>(limit, milliseconds{1});
    const json answer = [&] {
        try {
            return document(expect(wait, what), what);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timed_out) {
                throw;
            }
            throw Error(ErrorKind::timed_out, "container " + in_quotes(container) +
                                                  " did not end within " +
                                                  std::to_string(limit.count()) + " s");
        }
    }();
    if (const std::string error = text_of(member(answer, "Error"), "Message"); !error.empty()) {
        throw Error(ErrorKind::engine_refused, "cannot " + what + ": " + printable(error));
    }
    return static_cast<int>(number_of(answer, "StatusCode"));
}

// A container of `docker run --rm` is removed by the engine itself: a second removal is refused
// while the first goes on.
void RestEngine::await_removal(const std::string& container, const std::string& what) {
    constexpr milliseconds pause{50};
    const auto started = std::chrono::steady_clock::now();
    while (find_container(container)) {
        check_cancellation();
        if (std::chrono::steady_clock::now() - started > limits_.answer) {
            throw Error(ErrorKind::timed_out, "cannot " + what + ": its removal does not end");
        }
        std::this_thread::sleep_for(pause);
    }
}

bool RestEngine::remove_container(std::string_view container) {
    const std::string what = "remove container " + in_quotes(container);
    const auto found = find_container(container);
    if (!found) {
        return false;
    }
    const HttpResponse response =
        send(request("DELETE", "/containers/" + found->id + "?v=1&force=1", limits_.work), what);
    if (response.status == 404) {
        return false;
    }
    if (response.status == 409 &&
        words_of(response).find("already in progress") != std::string::npos) {
        await_removal(found->id, what);
        return true;
    }
    if (!response.succeeded()) {
        refuse(response, what);
    }
    return true;
}

void RestEngine::stream_logs(std::string_view container, unsigned last_lines, bool follow,
                             const ByteSink& out, const ByteSink& err) {
    const std::string what = "read the log of container " + in_quotes(container);
    const auto found = find_container(container);
    if (!found) {
        throw Error(ErrorKind::engine_not_found, "cannot " + what + ": there is no such container");
    }
    const HttpRequest question = request(
        "GET",
        "/containers/" + found->id + "/logs?stdout=1&stderr=1" + (follow ? "&follow=1" : "") +
            "&tail=" + (last_lines == 0 ? "all" : std::to_string(last_lines)),
        follow ? milliseconds{0} : limits_.answer);
    const json inspected = json::parse(found->document, nullptr, false);
    if (flag_of(member(inspected, "Config"), "Tty")) {
        expect(question, what, out);
        return;
    }
    LogFrames frames(out, err);
    expect(question, what, [&](Bytes bytes) { frames.write(bytes); });
    if (!frames.complete()) {
        throw Error(ErrorKind::engine_refused,
                    "cannot " + what + ": the container engine's answer ended early");
    }
}

void RestEngine::read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                           const ByteSink& err) {
    stream_logs(container, last_lines, false, out, err);
}

void RestEngine::follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                             const ByteSink& err) {
    stream_logs(container, last_lines, true, out, err);
}

void RestEngine::follow_events(std::int64_t since, std::chrono::seconds limit,
                               const std::function<void(const ContainerEvent&)>& sink) {
    constexpr std::int64_t second = 1'000'000'000;
    const std::string what = "follow what happens to containers";
    const json filters{{"type", {"container"}}, {"event", {"start", "die"}}};
    HttpRequest question =
        request("GET",
                "/events?since=" + fmt::format("{}.{:09}", since / second, since % second) +
                    "&filters=" + percent_encoded(filters.dump()),
                milliseconds{0});
    question.limits.total = limit;
    Lines lines;
    try {
        expect(question, what, [&](Bytes bytes) {
            lines.write(bytes, [&](std::string_view line) {
                if (const auto event = container_event(line)) {
                    sink(*event);
                }
            });
        });
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::timed_out) {
            throw;
        }
        return;
    }
    throw Error(ErrorKind::engine_unreachable,
                "cannot " + what + ": the container engine ended the stream");
}

int RestEngine::exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
                     const ByteSink& err) {
    const std::string what = "run a program in container " + in_quotes(container);
    const json body{{"AttachStdin", request.input >= 0},
                    {"AttachStdout", true},
                    {"AttachStderr", true},
                    {"Tty", request.terminal},
                    {"Cmd", request.command}};
    const std::string path =
        "/exec/" +
        percent_encoded(text_of(post(container_path(container, what) + "/exec", body, what), "Id"));
    const auto resize = [&](unsigned columns, unsigned rows) {
        // The program may not have begun, or have ended: then its size matters to nobody.
        send(this->request("POST", fmt::format("{}/resize?w={}&h={}", path, columns, rows),
                           limits_.answer),
             what);
    };
    const std::string start = json{{"Detach", false}, {"Tty", request.terminal}}.dump();
    attach({socket_, api() + path + "/start", start}, request, resize, out, err);
    const json ended = ask(path + "/json", what);
    if (flag_of(ended, "Running")) {
        throw Error(ErrorKind::engine_unreachable,
                    "cannot " + what + ": the container engine ended the stream");
    }
    return static_cast<int>(number_of(ended, "ExitCode"));
}

void RestEngine::read_archive(std::string_view container, std::string_view path,
                              const ByteSink& tar) {
    const std::string what = "read " + in_quotes(path) + " of container " + in_quotes(container);
    TarEnd end;
    expect(
        request("GET", container_path(container, what) + "/archive?path=" + percent_encoded(path),
                limits_.answer),
        what, [&](Bytes bytes) {
            end.write(bytes);
            tar(bytes);
        });
    if (!end.complete()) {
        throw Error(ErrorKind::engine_refused,
                    "cannot " + what + ": the container engine's answer ended early");
    }
}

void RestEngine::write_archive(std::string_view container, std::string_view path,
                               const ByteSource& tar) {
    const std::string what = "write " + in_quotes(path) + " of container " + in_quotes(container);
    HttpRequest upload =
        request("PUT", container_path(container, what) + "/archive?path=" + percent_encoded(path),
                limits_.work);
    upload.headers.emplace_back("Content-Type: application/x-tar");
    upload.source = tar;
    expect(upload, what);
}

void RestEngine::save_image(std::string_view id, const ByteSink& tar) {
    const std::string what = "save image " + in_quotes(id);
    TarEnd end;
    // The engine gathers the whole image before the first byte comes.
    expect(request("GET", "/images/" + percent_encoded(id, ":") + "/get", limits_.pull), what,
           [&](Bytes bytes) {
               end.write(bytes);
               tar(bytes);
           });
    if (!end.complete()) {
        throw Error(ErrorKind::engine_refused,
                    "cannot " + what + ": the container engine's answer ended early");
    }
}

void RestEngine::load_image(const ByteSource& tar, Progress& progress) {
    const std::string what = "load an image";
    HttpRequest upload = request("POST", "/images/load?quiet=1", limits_.pull);
    upload.headers.emplace_back("Content-Type: application/x-tar");
    upload.source = tar;
    const HttpResponse response = expect(upload, what);
    // The answer is a stream of documents, an error may be among them.
    for (const std::string& line : split(response.body, '\n')) {
        const json message = json::parse(line, nullptr, false);
        if (!message.is_object()) {
            continue;
        }
        if (message.contains("error")) {
            throw Error(ErrorKind::engine_refused,
                        "cannot " + what + ": " + printable(message["error"].dump()));
        }
        if (const auto words = message.find("stream");
            words != message.end() && words->is_string()) {
            progress.detail(printable(trim(words->get<std::string>())));
        }
    }
}

std::string RestEngine::import_image(const ByteSource& tar, std::string_view repository,
                                     std::string_view tag) {
    const std::string what = "make an image of a directory";
    HttpRequest upload = request("POST",
                                 "/images/create?fromSrc=-&repo=" + percent_encoded(repository) +
                                     "&tag=" + percent_encoded(tag),
                                 limits_.pull);
    upload.headers.emplace_back("Content-Type: application/x-tar");
    upload.source = tar;
    const HttpResponse response = expect(upload, what);
    for (const std::string& line : split(response.body, '\n')) {
        const std::string error = text_of(json::parse(line, nullptr, false), "error");
        if (!error.empty()) {
            throw Error(ErrorKind::engine_refused, "cannot " + what + ": " + printable(error));
        }
    }
    const auto image = find_image(std::string(repository) + ":" + std::string(tag));
    if (!image) {
        throw Error(ErrorKind::engine_refused,
                    "cannot " + what + ": the engine reports success, and lacks the image");
    }
    return image->id;
}

Volume RestEngine::create_volume(std::string_view name, const Labels& labels) {
    const std::string what = "create volume " + in_quotes(name);
    return volume_of(
        post("/volumes/create", {{"Name", name}, {"Driver", "local"}, {"Labels", labels}}, what));
}

std::optional<Volume> RestEngine::find_volume(std::string_view name) {
    const auto found =
        find("/volumes/" + percent_encoded(name), "look at volume " + in_quotes(name));
    if (!found) {
        return std::nullopt;
    }
    Volume volume = volume_of(*found);
    // Podman takes a part of a name for the volume.
    return volume.name == name ? std::optional(std::move(volume)) : std::nullopt;
}

std::vector<Volume> RestEngine::list_volumes(const ObjectFilter& filter) {
    std::vector<Volume> volumes;
    if (!filter.name.empty() && !is_object_name(filter.name)) {
        return volumes;
    }
    const json answer = ask("/volumes?filters=" + filters_of(filter), "list volumes");
    const json& listed = member(answer, "Volumes");
    if (!listed.is_array()) {
        return volumes;
    }
    for (const json& entry : listed) {
        Volume volume = volume_of(entry);
        if ((filter.name.empty() || volume.name == filter.name) &&
            has_labels(volume.labels, filter.labels)) {
            volumes.push_back(std::move(volume));
        }
    }
    return volumes;
}

bool RestEngine::remove_volume(std::string_view name) {
    const std::string what = "remove volume " + in_quotes(name);
    if (!find_volume(name)) {
        return false;
    }
    const HttpResponse response =
        send(request("DELETE", "/volumes/" + percent_encoded(name), limits_.work), what);
    if (response.status == 404) {
        return false;
    }
    if (!response.succeeded()) {
        refuse(response, what);
    }
    return true;
}

std::string RestEngine::create_network(std::string_view name, const Labels& labels) {
    return text_of(
        post("/networks/create",
             {{"Name", name}, {"CheckDuplicate", true}, {"Driver", "bridge"}, {"Labels", labels}},
             "create network " + in_quotes(name)),
        "Id");
}

std::vector<Network> RestEngine::list_networks(const ObjectFilter& filter) {
    std::vector<Network> networks;
    if (!filter.name.empty() && !is_object_name(filter.name)) {
        return networks;
    }
    for (const json& entry : ask_list("/networks?filters=" + filters_of(filter), "list networks")) {
        Network network{text_of(entry, "Id"), text_of(entry, "Name"), pairs_of(entry, "Labels")};
        if ((filter.name.empty() || network.name == filter.name) &&
            has_labels(network.labels, filter.labels)) {
            networks.push_back(std::move(network));
        }
    }
    return networks;
}

bool RestEngine::remove_network(std::string_view network) {
    const std::string what = "remove network " + in_quotes(network);
    std::string id(network);
    ObjectFilter by_name;
    by_name.name = id;
    if (const auto named = list_networks(by_name); !named.empty()) {
        id = named.front().id;
    } else if (!is_hex(network) || network.size() < shortest_id) {
        return false;
    }
    const HttpResponse response =
        send(request("DELETE", "/networks/" + percent_encoded(id), limits_.work), what);
    if (response.status == 404) {
        return false;
    }
    if (!response.succeeded()) {
        // In use is 403 in Docker.
        if (response.status == 403) {
            throw Error(ErrorKind::engine_conflict, "cannot " + what + ": " + words_of(response));
        }
        refuse(response, what);
    }
    return true;
}

}  // namespace

std::string container_body(const ContainerSpec& spec) {
    return body_of(spec).dump();
}

std::unique_ptr<Engine> make_rest_engine(const std::string& socket, EngineLimits limits) {
    return std::make_unique<RestEngine>(socket, limits);
}

}  // namespace drunner
