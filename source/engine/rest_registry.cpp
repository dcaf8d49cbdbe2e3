#include "engine/rest_registry.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/credential_source.hpp"
#include "engine/credentials.hpp"
#include "engine/http.hpp"
#include "engine/image_config.hpp"
#include "engine/json_fields.hpp"
#include "engine/registry_trouble.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Verdict = ManifestAnswer::Verdict;

constexpr unsigned connections_per_registry = 2;
constexpr unsigned most_attempts = 3;
constexpr unsigned most_redirects = 3;

// Every kind of manifest: a registry answers with the digest of the kind that it may send, and the
// engine records that of the index.
constexpr std::string_view accepted_manifests =
    "Accept: application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

bool is_digest(std::string_view text) {
    constexpr std::string_view algorithm = "sha256:";
    constexpr std::size_t digits = 64;
    return text.starts_with(algorithm) && text.size() == algorithm.size() + digits &&
           text.find_first_not_of("0123456789abcdef", algorithm.size()) == std::string_view::npos;
}

// "host" of "host:5000", "::1" of "[::1]:5000".
std::string host_of(std::string_view domain) {
    if (domain.starts_with('[')) {
        return std::string(domain.substr(1, domain.find(']') - 1));
    }
    return std::string(domain.substr(0, domain.find(':')));
}

std::optional<std::uint32_t> ipv4(const std::string& text) {
    in_addr address{};
    return inet_pton(AF_INET, text.c_str(), &address) == 1 ? std::optional(ntohl(address.s_addr))
                                                           : std::nullopt;
}

bool is_loopback(const std::string& host) {
    const auto address = ipv4(host);
    return host == "localhost" || host == "::1" || (address && (*address >> 24U) == 127);
}

// Whether the host is in "10.0.0.0/8".
bool is_in_network(const std::string& host, const std::string& network) {
    const std::size_t slash = network.find('/');
    if (slash == std::string::npos) {
        return false;
    }
    const auto address = ipv4(host);
    const auto base = ipv4(network.substr(0, slash));
    unsigned bits = 0;
    const char* const end = network.data() + network.size();
    const auto parsed = std::from_chars(network.data() + slash + 1, end, bits);
    if (!address || !base || parsed.ec != std::errc() || parsed.ptr != end || bits > 32) {
        return false;
    }
    const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32U - bits);
    return (*address & mask) == (*base & mask);
}

// WWW-Authenticate: `Bearer realm="https://auth.example/token",service="x",scope="y"`.
struct Challenge {
    std::string scheme;  // lower case
    std::map<std::string, std::string> parameters;

    std::string parameter(const std::string& name) const {
        const auto found = parameters.find(name);
        return found == parameters.end() ? std::string() : found->second;
    }
};

Challenge parse_challenge(std::string_view header) {
    Challenge challenge;
    const std::size_t space = header.find(' ');
    challenge.scheme = to_lower(header.substr(0, space));
    if (space == std::string_view::npos) {
        return challenge;
    }
    std::string_view rest = header.substr(space + 1);
    while (true) {
        const std::size_t start = rest.find_first_not_of(" \t,");
        const std::size_t equals = rest.find('=');
        if (start == std::string_view::npos || equals == std::string_view::npos || equals < start) {
            return challenge;
        }
        const std::string name = to_lower(trim(rest.substr(start, equals - start)));
        rest.remove_prefix(equals + 1);
        std::string value;
        if (rest.starts_with('"')) {
            std::size_t i = 1;
            for (; i < rest.size() && rest[i] != '"'; ++i) {
                if (rest[i] == '\\' && i + 1 < rest.size()) {
                    ++i;
                }
                value += rest[i];
            }
            rest.remove_prefix(std::min(i + 1, rest.size()));
        } else {
            const std::size_t end = std::min(rest.find(','), rest.size());
            value = trim(rest.substr(0, end));
            rest.remove_prefix(end);
        }
        challenge.parameters[name] = value;
    }
}

// An address of a token service, parted at the path.
struct Address {
    std::string base;  // "https://auth.docker.io"
    std::string path;  // "/token"
};

std::optional<Address> parse_address(const std::string& url) {
    const std::size_t scheme_end = url.find("://");
    if (scheme_end == std::string::npos) {
        return std::nullopt;
    }
    const std::string scheme = to_lower(url.substr(0, scheme_end));
    const std::size_t host = scheme_end + 3;
    const std::size_t path = std::min(url.find_first_of("/?", host), url.size());
    const std::string authority = url.substr(host, path - host);
    if ((scheme != "https" && scheme != "http") || authority.empty() ||
        authority.find('@') != std::string::npos) {
        return std::nullopt;
    }
    const std::string rest = url.substr(path);
    return Address{scheme + "://" + authority, rest.starts_with('/') ? rest : "/" + rest};
}

std::string scope_of(const ImageReference& reference) {
    return "repository:" + reference.path() + ":pull";
}

// One registry, with what was learnt of it: where it answers and how it wants to be asked.
struct Site {
    std::string domain;
    std::mutex mutex;
    // Guarded by mutex; in the order in which they are tried.
    std::vector<std::unique_ptr<Http>> candidates;
    std::size_t chosen = 0;                // guarded by mutex
    bool answered = false;                 // guarded by mutex: `chosen` is settled
    bool asked_engine = false;             // guarded by mutex: whether it is insecure
    Challenge challenge;                   // guarded by mutex
    std::map<std::string, Secret> tokens;  // guarded by mutex: by scope
};

// What cannot be had, as an answer; inside this file only.
struct Refusal {
    Verdict verdict;
    std::string message;
    bool unanswered = false;  // no connection: the engine may reach it
    RegistryTrouble trouble = RegistryTrouble::unreachable;
    unsigned wait = 0;  // seconds, where a busy registry names them
};

Refusal refused(RegistryTrouble trouble, const std::string& message) {
    const Verdict verdict = trouble == RegistryTrouble::absent ? Verdict::not_found
                            : trouble == RegistryTrouble::busy ? Verdict::unreachable
                                                               : Verdict::denied;
    return {verdict, message, false, trouble};
}

// What a 401 or 403 tells of these credentials. Behind a token that their owner was given they are
// right, and a 401 means what a 403 does. Some registries so hide that they lack the image.
Refusal denial(int status, const Challenge& challenge, const std::string& registry,
               const Credentials& credentials) {
    if (credentials.empty()) {
        return refused(RegistryTrouble::unauthorized,
                       registry +
                           " wants credentials for it, or does not have it; there are none "
                           "in " +
                           credentials.source);
    }
    if (status == 401 && challenge.scheme != "bearer") {
        return refused(RegistryTrouble::unauthorized,
                       registry + " does not accept the credentials from " + credentials.source);
    }
    return refused(RegistryTrouble::forbidden, registry + " does not let the account of " +
                                                   credentials.source +
                                                   " pull it, or does not have it");
}

RegistryTrouble tls_trouble(std::string_view words) {
    const RegistryTrouble trouble = registry_trouble(ImageReference("image"), words);
    return trouble == RegistryTrouble::none ? RegistryTrouble::bad_certificate : trouble;
}

class RestRegistry final : public Registry, public CredentialSource {
  public:
    RestRegistry(Engine& engine, const std::string& docker_config, RegistryLimits limits)
        : engine_(engine), limits_(std::move(limits)), store_(docker_config) {}

    ManifestAnswer resolve(const ImageReference& reference) override;
    Image describe(const ImageReference& reference) override;
    RegistryAuth credentials(const ImageReference& reference) override {
        return registry_auth(store_.find(reference.domain()), reference.domain());
    }

    std::string source_of(const ImageReference& reference) override {
        const Credentials found = store_.find(reference.domain());
        return found.empty() ? std::string() : found.source;
    }

  private:
    ManifestAnswer ask(const ImageReference& reference);
    std::string ask_registry(const ImageReference& reference);
    Image ask_description(const ImageReference& reference);
    std::string way_out(const Refusal& refusal, const ImageReference& reference);
    // The answer to a request that the reference's registry allows; its part of the path is below
    // "/v2/NAME/". Throws Refusal for every other answer.
    HttpResponse fetch(const ImageReference& reference, const std::string& method,
                       const std::string& path);
    json fetch_json(const ImageReference& reference, const std::string& path);
    HttpResponse perform(Http& http, const HttpRequest& request, const std::string& domain);
    HttpResponse perform(Site& site, const HttpRequest& request);
    std::string authorization(Site& site, const ImageReference& reference,
                              const Challenge& challenge);
    Secret fetch_token(Site& site, const Challenge& challenge, const std::string& scope,
                       const Credentials& credentials);
    Site& site_of(const std::string& domain);
    void add_candidate(Site& site, const std::string& scheme, bool verify_peer);
    void add_candidates(Site& site);
    void add_insecure_candidates(Site& site);
    HttpServer server_of(const std::string& domain, const std::string& base) const;
    bool is_insecure(const std::string& domain);
    void wait(milliseconds duration) const;
    Http& token_server(const std::string& base);

    Engine& engine_;
    RegistryLimits limits_;
    CredentialStore store_;
    std::mutex mutex_;
    std::map<std::string, std::shared_future<ManifestAnswer>> answers_;  // guarded by mutex_
    std::map<std::string, std::unique_ptr<Site>> sites_;                 // guarded by mutex_
    std::map<std::string, std::unique_ptr<Http>> token_servers_;         // guarded by mutex_
    std::optional<std::vector<std::string>> insecure_;                   // guarded by mutex_
};

ManifestAnswer RestRegistry::resolve(const ImageReference& reference) {
    if (!reference.digest().empty()) {
        return {Verdict::found, reference.digest(), ""};
    }
    const std::string key = reference.repository() + ":" + reference.manifest();
    std::promise<ManifestAnswer> promise;
    std::shared_future<ManifestAnswer> answer;
    bool asked_by_me = false;
    {
        const std::lock_guard lock(mutex_);
        const auto known = answers_.find(key);
        asked_by_me = known == answers_.end();
        answer = asked_by_me ? promise.get_future().share() : known->second;
        if (asked_by_me) {
            answers_.emplace(key, answer);
        }
    }
    if (asked_by_me) {
        try {
            promise.set_value(ask(reference));
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    }
    return answer.get();
}

ManifestAnswer RestRegistry::ask(const ImageReference& reference) {
    const std::string context = "'" + printable(reference.text()) + "': ";
    Refusal refusal{Verdict::unreachable, ""};
    try {
        return {Verdict::found, ask_registry(reference), ""};
    } catch (const Refusal& met) {
        refusal = met;
    } catch (const Error& error) {
        // Of the credentials, or of the engine that was asked for its insecure registries.
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return {error.kind() == ErrorKind::registry_denied ? Verdict::denied : Verdict::unreachable,
                "", context + error.what()};
    }
    if (refusal.unanswered) {
        try {
            if (auto digest = engine_.distribution_digest(reference, credentials(reference))) {
                return {Verdict::found, std::move(*digest), ""};
            }
        } catch (const Error& error) {
            switch (error.kind()) {
                case ErrorKind::interrupted:
                    throw;
                case ErrorKind::image_not_found:
                    return {Verdict::not_found, "", error.what()};
                case ErrorKind::registry_denied:
                    return {Verdict::denied, "", error.what()};
                default:
                    break;  // neither of us reaches it: what drunner itself met is said
            }
        }
    }
    return {refusal.verdict, "", context + refusal.message};
}

std::string RestRegistry::way_out(const Refusal& refusal, const ImageReference& reference) {
    if (refusal.trouble == RegistryTrouble::busy && refusal.wait > 0) {
        return "sleep " + std::to_string(refusal.wait) + "; drunner registry test " +
               reference.text();
    }
    bool with_credentials = false;
    try {
        with_credentials = !credentials(reference).header.empty();
    } catch (const Error& error) {
        // Nobody asked for them, so they are not what is wrong.
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
    }
    return registry_way_out(refusal.trouble, reference, with_credentials);
}

std::string RestRegistry::ask_registry(const ImageReference& reference) {
    const HttpResponse response = fetch(reference, "HEAD", "manifests/" + reference.manifest());
    std::string digest = response.header("docker-content-digest");
    if (!is_digest(digest)) {
        throw Refusal{Verdict::unreachable, "registry '" + printable(reference.domain()) +
                                                "' did not name the manifest's digest"};
    }
    return digest;
}

Image RestRegistry::describe(const ImageReference& reference) {
    const std::string context = "cannot ask for '" + printable(reference.text()) + "': ";
    try {
        return ask_description(reference);
    } catch (const Refusal& met) {
        const ErrorKind kind = met.verdict == Verdict::not_found ? ErrorKind::image_not_found
                               : met.verdict == Verdict::denied  ? ErrorKind::registry_denied
                                                                 : ErrorKind::registry_unreachable;
        throw Error(kind, context + met.message, way_out(met, reference));
    }
}

// Of an index that of this engine's platform.
Image RestRegistry::ask_description(const ImageReference& reference) {
    const std::string registry = "registry '" + printable(reference.domain()) + "'";
    const HttpResponse response = fetch(reference, "GET", "manifests/" + reference.manifest());
    json manifest = json::parse(response.body, nullptr, false);
    if (const json& entries = member(manifest, "manifests"); entries.is_array()) {
        const std::string machine = engine_.info().architecture;
        const std::string_view architecture = platform_architecture(machine);
        const auto found = std::find_if(entries.begin(), entries.end(), [&](const json& entry) {
            const json& platform = member(entry, "platform");
            return text_of(platform, "os") == "linux" &&
                   text_of(platform, "architecture") == architecture;
        });
        const std::string digest = found == entries.end() ? "" : text_of(*found, "digest");
        if (!is_digest(digest)) {
            throw Refusal{Verdict::not_found,
                          registry + " has no image of it for linux/" + printable(architecture)};
        }
        manifest = fetch_json(reference, "manifests/" + digest);
    }
    Image image;
    image.id = text_of(member(manifest, "config"), "digest");
    if (!is_digest(image.id)) {
        throw Refusal{Verdict::unreachable, registry + " did not answer with a manifest"};
    }
    const std::string named = response.header("docker-content-digest");
    const std::string digest = reference.digest().empty() ? named : reference.digest();
    if (is_digest(digest)) {
        image.digests.push_back(reference.familiar_repository() + "@" + digest);
    }
    const json document = fetch_json(reference, "blobs/" + image.id);
    image.os = text_of(document, "os");
    image.architecture = text_of(document, "architecture");
    read_image_config(member(document, "config"), image);
    return image;
}

json RestRegistry::fetch_json(const ImageReference& reference, const std::string& path) {
    json document = json::parse(fetch(reference, "GET", path).body, nullptr, false);
    if (!document.is_object()) {
        throw Refusal{Verdict::unreachable,
                      "registry '" + printable(reference.domain()) + "' did not answer with JSON"};
    }
    return document;
}

HttpResponse RestRegistry::fetch(const ImageReference& reference, const std::string& method,
                                 const std::string& path) {
    Site& site = site_of(reference.domain());
    const auto ask_with = [&](const std::string& proof) {
        HttpRequest request;
        request.method = method;
        request.path = "/v2/" + reference.path() + "/" + path;
        request.redirects = most_redirects;
        request.headers.emplace_back(accepted_manifests);
        if (!proof.empty()) {
            request.headers.push_back("Authorization: " + proof);
        }
        return perform(site, request);
    };
    Challenge challenge;
    {
        const std::lock_guard lock(site.mutex);
        challenge = site.challenge;
    }
    // Once a registry said how it wants to be asked, the next reference needs no refusal first.
    HttpResponse response =
        ask_with(challenge.scheme.empty() ? "" : authorization(site, reference, challenge));
    if (response.status == 401) {
        challenge = parse_challenge(response.header("www-authenticate"));
        {
            const std::lock_guard lock(site.mutex);
            site.challenge = challenge;
            site.tokens.erase(scope_of(reference));  // it may have expired
        }
        const std::string proof = authorization(site, reference, challenge);
        if (!proof.empty()) {
            response = ask_with(proof);
        }
    }
    const std::string registry = "registry '" + printable(site.domain) + "'";
    switch (response.status) {
        case 200:
            return response;
        case 404:
            throw refused(RegistryTrouble::absent, registry + " does not have it");
        case 401:
        case 403:
            throw denial(response.status, challenge, registry, store_.find(site.domain));
        case 429:
            throw refused(RegistryTrouble::busy, registry + " has had too many requests");
        default:
            throw Refusal{Verdict::unreachable, registry + " answered with HTTP status " +
                                                    std::to_string(response.status)};
    }
}

// Tries the candidates until one answers; from then on that one.
HttpResponse RestRegistry::perform(Site& site, const HttpRequest& request) {
    std::optional<Refusal> refusal;
    for (std::size_t i = 0;; ++i) {
        Http* http = nullptr;
        bool settled = false;
        {
            const std::lock_guard lock(site.mutex);
            settled = site.answered;
            i = settled ? site.chosen : i;
            if (i == site.candidates.size() && !site.asked_engine) {
                add_insecure_candidates(site);
            }
            if (i == site.candidates.size()) {
                throw *refusal;
            }
            http = site.candidates[i].get();
        }
        try {
            HttpResponse response = perform(*http, request, site.domain);
            const std::lock_guard lock(site.mutex);
            // Go's answer to plain HTTP on a TLS port.
            if (!settled && response.status == 400 && i + 1 < site.candidates.size()) {
                continue;
            }
            site.chosen = i;
            site.answered = true;
            return response;
        } catch (const Refusal& met) {
            if (settled || !met.unanswered) {
                throw;
            }
            // What the usual way met says more than what the others did.
            if (!refusal) {
                refusal = met;
            }
        }
    }
}

HttpResponse RestRegistry::perform(Http& http, const HttpRequest& request,
                                   const std::string& domain) {
    HttpRequest limited = request;
    limited.limits.connect = limits_.connect;
    limited.limits.idle = limits_.answer;
    const std::string registry = "registry '" + printable(domain) + "'";
    for (unsigned attempt = 1;; ++attempt) {
        HttpResponse response;
        try {
            response = http.perform(limited);
        } catch (const HttpFailure& failure) {
            const bool untrusted = failure.cause() == HttpFailure::Cause::untrusted;
            throw Refusal{
                Verdict::unreachable,
                (untrusted ? "cannot trust " : "cannot reach ") + registry + ": " + failure.what(),
                true, untrusted ? tls_trouble(failure.what()) : RegistryTrouble::unreachable};
        }
        const bool busy = response.status == 429;
        if ((!busy && response.status < 500) || attempt == most_attempts) {
            return response;
        }
        milliseconds pause = limits_.backoff * (1U << (attempt - 1));
        const std::string after = response.header("retry-after");
        unsigned seconds = 0;
        if (std::from_chars(after.data(), after.data() + after.size(), seconds).ec == std::errc()) {
            pause = std::chrono::seconds(seconds);
        }
        if (pause > limits_.retry_after) {
            Refusal refusal = refused(RegistryTrouble::busy, registry + " asks to come back in " +
                                                                 std::to_string(seconds) + " s");
            refusal.wait = seconds;
            throw refusal;
        }
        wait(pause);
    }
}

std::string RestRegistry::authorization(Site& site, const ImageReference& reference,
                                        const Challenge& challenge) {
    const Credentials credentials = store_.find(site.domain);
    if (!credentials.registry_token.empty()) {
        return "Bearer " + std::string(credentials.registry_token.reveal());
    }
    if (challenge.scheme == "basic") {
        return credentials.password.empty()
                   ? ""
                   : "Basic " + base64_encoded(credentials.username + ":" +
                                               std::string(credentials.password.reveal()));
    }
    if (challenge.scheme != "bearer") {
        return "";
    }
    const std::string scope = scope_of(reference);
    {
        const std::lock_guard lock(site.mutex);
        if (const auto known = site.tokens.find(scope); known != site.tokens.end()) {
            return "Bearer " + std::string(known->second.reveal());
        }
    }
    const Secret token = fetch_token(site, challenge, scope, credentials);
    const std::lock_guard lock(site.mutex);
    site.tokens[scope] = token;
    return "Bearer " + std::string(token.reveal());
}

Secret RestRegistry::fetch_token(Site& site, const Challenge& challenge, const std::string& scope,
                                 const Credentials& credentials) {
    const std::string registry = "registry '" + printable(site.domain) + "'";
    const auto address = parse_address(challenge.parameter("realm"));
    bool is_plain = false;
    {
        const std::lock_guard lock(site.mutex);
        is_plain = site.candidates[site.chosen]->server().base.starts_with("http:");
    }
    // A password must not go out in clear because somebody says so.
    if (!address || (address->base.starts_with("http:") && !is_plain)) {
        throw refused(RegistryTrouble::none, registry + " names an unusable token service");
    }
    const std::string service = challenge.parameter("service");
    HttpRequest request;
    if (!credentials.identity_token.empty()) {
        request.method = "POST";
        request.path = address->path;
        request.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
        request.body =
            "grant_type=refresh_token&client_id=drunner&service=" + percent_encoded(service) +
            "&scope=" + percent_encoded(scope) +
            "&refresh_token=" + percent_encoded(credentials.identity_token.reveal());
    } else {
        const bool has_query = address->path.find('?') != std::string::npos;
        request.path = address->path + (has_query ? "&" : "?") + "scope=" + percent_encoded(scope);
        if (!service.empty()) {
            request.path += "&service=" + percent_encoded(service);
        }
        if (!credentials.password.empty()) {
            request.path += "&account=" + percent_encoded(credentials.username);
            request.headers.push_back("Authorization: Basic " +
                                      base64_encoded(credentials.username + ":" +
                                                     std::string(credentials.password.reveal())));
        }
    }
    HttpResponse response;
    try {
        response = perform(token_server(address->base), request, site.domain);
    } catch (Refusal& refusal) {
        refusal.unanswered = false;
        refusal.message = "its token service does not answer: " + refusal.message;
        throw;
    }
    if (response.status == 401 || response.status == 403 || response.status == 400) {
        const std::string service_of = "the token service of " + registry;
        if (credentials.empty()) {
            throw refused(
                RegistryTrouble::unauthorized,
                service_of + " wants credentials, and there are none in " + credentials.source);
        }
        throw refused(
            response.status == 403 ? RegistryTrouble::forbidden : RegistryTrouble::unauthorized,
            service_of + " does not accept the credentials from " + credentials.source);
    }
    const json document = json::parse(response.body, nullptr, false);
    std::string token;
    for (const char* name : {"token", "access_token"}) {
        if (token.empty() && document.is_object() && document.contains(name) &&
            document[name].is_string()) {
            token = document[name].get<std::string>();
        }
    }
    if (!response.succeeded() || token.empty()) {
        throw Refusal{Verdict::unreachable, "the token service of " + registry + " answered with " +
                                                "HTTP status " + std::to_string(response.status) +
                                                " and no token"};
    }
    // It becomes a header.
    if (token.find_first_of("\r\n") != std::string::npos) {
        throw refused(RegistryTrouble::none,
                      "the token service of " + registry + " gave no usable token");
    }
    return Secret(std::move(token));
}

Http& RestRegistry::token_server(const std::string& base) {
    const std::lock_guard lock(mutex_);
    auto& server = token_servers_[base];
    if (!server) {
        server = std::make_unique<Http>(server_of(base.substr(base.find("://") + 3), base));
    }
    return *server;
}

Site& RestRegistry::site_of(const std::string& domain) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = sites_.find(domain); known != sites_.end()) {
            return *known->second;
        }
    }
    auto site = std::make_unique<Site>();
    site->domain = domain;
    add_candidates(*site);
    const std::lock_guard lock(mutex_);
    return *sites_.try_emplace(domain, std::move(site)).first->second;
}

void RestRegistry::add_candidate(Site& site, const std::string& scheme, bool verify_peer) {
    const std::string host = site.domain == "docker.io" ? "registry-1.docker.io" : site.domain;
    HttpServer server = server_of(site.domain, scheme + host);
    server.verify_peer = verify_peer;
    site.candidates.push_back(std::make_unique<Http>(std::move(server)));
}

void RestRegistry::add_candidates(Site& site) {
    if (is_loopback(host_of(site.domain))) {
        // Nearly always plain, and nobody stands between.
        add_candidate(site, "http://", true);
        add_candidate(site, "https://", false);
        site.asked_engine = true;
    } else {
        add_candidate(site, "https://", true);
    }
}

// The engine is asked only when the secure way failed: its answer takes longer than a HEAD.
void RestRegistry::add_insecure_candidates(Site& site) {
    site.asked_engine = true;
    if (is_insecure(site.domain)) {
        add_candidate(site, "https://", false);
        add_candidate(site, "http://", true);
    }
}

// certs.d/DOMAIN: *.crt are CAs, NAME.cert and NAME.key the client's.
HttpServer RestRegistry::server_of(const std::string& domain, const std::string& base) const {
    HttpServer server;
    server.base = base;
    server.connections = connections_per_registry;
    server.use_proxy = !is_loopback(host_of(domain));
    const std::string directory = limits_.certificates + "/" + domain;
    for (const std::string& name : directory_entries(directory)) {
        const std::string path = directory + "/" + name;
        if (name.ends_with(".crt")) {
            server.certificates += read_file(path) + "\n";
        } else if (name.ends_with(".cert") && server.client_certificate.empty()) {
            server.client_certificate = path;
            server.client_key =
                path.substr(0, path.size() - std::string_view("cert").size()) + "key";
        }
    }
    return server;
}

bool RestRegistry::is_insecure(const std::string& domain) {
    const std::lock_guard lock(mutex_);
    if (!insecure_) {
        insecure_ = engine_.info().insecure_registries;
    }
    return std::any_of(insecure_->begin(), insecure_->end(), [&](const std::string& listed) {
        return listed == domain || is_in_network(host_of(domain), listed);
    });
}

void RestRegistry::wait(milliseconds duration) const {
    constexpr milliseconds tick{50};
    const auto until = std::chrono::steady_clock::now() + duration;
    for (auto now = std::chrono::steady_clock::now(); now < until;
         now = std::chrono::steady_clock::now()) {
        check_cancellation();
        std::this_thread::sleep_for(
            std::min<std::chrono::steady_clock::duration>(tick, until - now));
    }
}

}  // namespace

std::unique_ptr<Registry> make_rest_registry(Engine& engine, const std::string& docker_config,
                                             RegistryLimits limits) {
    return std::make_unique<RestRegistry>(engine, docker_config, std::move(limits));
}

std::string default_docker_config() {
    if (const char* directory = std::getenv("DOCKER_CONFIG");
        directory != nullptr && *directory != '\0') {
        return directory;
    }
    const char* home = std::getenv("HOME");
    return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.docker";
}

}  // namespace drunner
