#include "engine/credentials.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::string_view docker_hub = "docker.io";
constexpr std::string_view docker_hub_address = "https://index.docker.io/v1/";
constexpr std::size_t longest_answer = 1U << 20U;
constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const json& member(const json& object, const std::string& key) {
    static const json nothing;
    if (!object.is_object()) {
        return nothing;
    }
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
}

std::string text_of(const json& object, const std::string& key) {
    const json& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

// "https://host:5000/v1/" -> "host:5000", and one spelling for all of Docker Hub's.
std::string domain_of(std::string_view address) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (address.starts_with(scheme)) {
            address.remove_prefix(scheme.size());
        }
    }
    const std::string_view host = address.substr(0, address.find('/'));
    return std::string(host == "index.docker.io" || host == "registry-1.docker.io" ? docker_hub
                                                                                   : host);
}

// Member of an object keyed by addresses: the exact one first, then another spelling.
std::string key_for(const json& object, const std::string& domain) {
    if (!object.is_object()) {
        return "";
    }
    std::string usual =
        domain == docker_hub ? std::string(docker_hub_address) : std::string(domain);
    if (object.contains(usual)) {
        return usual;
    }
    for (const auto& [key, ignored] : object.items()) {
        if (domain_of(key) == domain) {
            return key;
        }
    }
    return "";
}

Credentials credentials_of_entry(const json& entry) {
    Credentials found;
    if (const std::string token = text_of(entry, "identitytoken"); !token.empty()) {
        found.identity_token = Secret(token);
        return found;
    }
    if (const std::string token = text_of(entry, "registrytoken"); !token.empty()) {
        found.registry_token = Secret(token);
        return found;
    }
    if (const std::string packed = text_of(entry, "auth"); !packed.empty()) {
        const std::string pair = base64_decoded(packed);
        const std::size_t colon = pair.find(':');
        if (colon == std::string::npos) {
            throw Error(ErrorKind::registry_denied, "its 'auth' is not base64 of NAME:PASSWORD");
        }
        found.username = pair.substr(0, colon);
        std::string password = pair.substr(colon + 1);
        // Old docker clients padded it.
        password.erase(std::find(password.begin(), password.end(), '\0'), password.end());
        found.password = Secret(std::move(password));
        return found;
    }
    found.username = text_of(entry, "username");
    found.password = Secret(text_of(entry, "password"));
    return found;
}

struct Pipe {
    FileDescriptor reading;
    FileDescriptor writing;

    Pipe() {
        std::array<int, 2> ends{};
        if (pipe2(ends.data(), O_CLOEXEC) != 0) {
            throw system_error("cannot make a pipe", errno);
        }
        reading.reset(ends[0]);
        writing.reset(ends[1]);
    }
};

// A program in a process group of its own, which ends with this object.
class Child {
  public:
    Child(const std::string& program, int input, int output) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        std::string name = program;
        std::string verb = "get";
        std::array<char*, 3> arguments{name.data(), verb.data(), nullptr};
        const int error =
            posix_spawnp(&pid_, name.c_str(), &actions, &attributes, arguments.data(), environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (error != 0) {
            pid_ = -1;
            throw Error(ErrorKind::registry_denied,
                        "cannot run the credential helper '" + program +
                            "': " + (error == ENOENT ? "it is not on PATH" : std::strerror(error)),
                        "command -v " + program);
        }
    }
    ~Child() {
        if (pid_ > 0) {
            kill(-pid_, SIGKILL);
            wait();
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // The exit status, or 128 + signal.
    int wait() {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

  private:
    pid_t pid_ = -1;
};

struct HelperAnswer {
    int status = 0;
    std::string output;
};

// Writes `input` and reads to the end of the program's output.
HelperAnswer run_helper(const std::string& program, const std::string& input,
                        std::chrono::milliseconds limit) {
    Pipe to;
    Pipe from;
    Child child(program, to.reading.get(), from.writing.get());
    to.reading.reset();
    from.writing.reset();
    // The address is far smaller than a pipe holds, so this cannot block; SIGPIPE is ignored by
    // the whole program, and a helper that reads nothing may still answer.
    if (write(to.writing.get(), input.data(), input.size()) < 0 && errno != EPIPE) {
        throw system_error("cannot write to the credential helper '" + program + "'", errno);
    }
    to.writing.reset();

    HelperAnswer answer;
    const Clock::time_point deadline = Clock::now() + limit;
    std::array<char, 4096> buffer{};
    while (true) {
        check_cancellation();
        if (Clock::now() >= deadline) {
            throw Error(ErrorKind::timed_out,
                        "the credential helper '" + program + "' did not answer in time",
                        program + " list");
        }
        pollfd waited{from.reading.get(), POLLIN, 0};
        constexpr int tick_ms = 50;
        if (poll(&waited, 1, tick_ms) <= 0) {
            continue;
        }
        const ssize_t count = read(from.reading.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        answer.output.append(buffer.data(), static_cast<std::size_t>(count));
        if (answer.output.size() > longest_answer) {
            throw Error(ErrorKind::registry_denied,
                        "the credential helper '" + program + "' answers too much",
                        program + " list");
        }
    }
    explicit_bzero(buffer.data(), buffer.size());
    answer.status = child.wait();
    return answer;
}

}  // namespace

CredentialStore::CredentialStore(std::string docker_config, std::chrono::milliseconds limit)
    : docker_config_(std::move(docker_config)), limit_(limit) {}

Credentials CredentialStore::find(const std::string& domain) {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(domain);
    return known != known_.end() ? known->second
                                 : known_.emplace(domain, look_up(domain)).first->second;
}

Credentials CredentialStore::look_up(const std::string& domain) const {
    const std::string path = docker_config_ + "/config.json";
    const std::string shown = "'" + printable(path) + "'";
    Credentials none;
    none.source = docker_config_.empty() ? "the environment, which names no home" : shown;
    if (docker_config_.empty() || !exists(path)) {
        return none;
    }
    const json config = json::parse(read_file(path), nullptr, false);
    if (!config.is_object()) {
        throw Error(ErrorKind::registry_denied, shown + " is not a JSON object",
                    "jq . " + printable(path));
    }
    const json& auths = member(config, "auths");
    const std::string key = key_for(auths, domain);
    const json& helpers = member(config, "credHelpers");
    const std::string helper_key = key_for(helpers, domain);
    const std::string suffix =
        helper_key.empty() ? text_of(config, "credsStore") : text_of(helpers, helper_key);
    if (!suffix.empty()) {
        const std::string origin =
            (helper_key.empty() ? "credsStore in " : "credHelpers in ") + shown;
        const std::string usual =
            domain == docker_hub ? std::string(docker_hub_address) : std::string(domain);
        // What the helper filed it under: the entries say so where it is another spelling.
        std::vector<std::string> addresses{usual};
        for (const std::string& spelling : {key, helper_key}) {
            if (!spelling.empty() &&
                std::find(addresses.begin(), addresses.end(), spelling) == addresses.end()) {
                addresses.push_back(spelling);
            }
        }
        Credentials found;
        try {
            for (auto address = addresses.begin(); found.empty() && address != addresses.end();
                 ++address) {
                found = ask(suffix, *address);
            }
        } catch (const Error& error) {
            throw error.within(origin);
        }
        if (!found.empty()) {
            found.source = "docker-credential-" + suffix + ", " + origin;
            return found;
        }
    }
    if (key.empty()) {
        return none;
    }
    try {
        Credentials found = credentials_of_entry(auths.at(key));
        found.source = found.empty() ? none.source : "auths in " + shown;
        return found;
    } catch (const Error& error) {
        throw Error(
            error.kind(),
            shown + " has an unusable entry for '" + printable(domain) + "': " + error.what(),
            "docker login" + (domain == docker_hub ? "" : " " + domain));
    }
}

// The protocol of docker-credential-helpers: the address on stdin, {"Username","Secret"} on stdout,
// or exit 1 and words. The words are never shown: they could hold what must not be.
Credentials CredentialStore::ask(const std::string& suffix, const std::string& address) const {
    const std::string program = "docker-credential-" + suffix;
    if (suffix.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                 "_.-") != std::string::npos) {
        throw Error(ErrorKind::registry_denied,
                    "'" + printable(program) + "' cannot be the name of a credential helper",
                    "jq . " + printable(docker_config_ + "/config.json"));
    }
    HelperAnswer answer = run_helper(program, address, limit_);
    if (answer.status != 0) {
        if (answer.output.find("credentials not found") != std::string::npos) {
            return {};
        }
        throw Error(ErrorKind::registry_denied,
                    "the credential helper '" + program + "' failed with exit status " +
                        std::to_string(answer.status),
                    program + " list");
    }
    const json document = json::parse(answer.output, nullptr, false);
    explicit_bzero(answer.output.data(), answer.output.size());
    if (!document.is_object()) {
        throw Error(ErrorKind::registry_denied,
                    "the credential helper '" + program + "' did not answer in JSON",
                    program + " list");
    }
    Credentials found;
    found.username = text_of(document, "Username");
    if (found.username == "<token>") {
        found.username.clear();
        found.identity_token = Secret(text_of(document, "Secret"));
    } else {
        found.password = Secret(text_of(document, "Secret"));
    }
    return found;
}

RegistryAuth registry_auth(const Credentials& credentials, const std::string& domain) {
    if (credentials.empty()) {
        return {};
    }
    json document{{"serveraddress", domain == docker_hub ? docker_hub_address : domain}};
    if (!credentials.identity_token.empty()) {
        document["identitytoken"] = credentials.identity_token.reveal();
    } else if (!credentials.registry_token.empty()) {
        document["registrytoken"] = credentials.registry_token.reveal();
    } else {
        document["username"] = credentials.username;
        document["password"] = credentials.password.reveal();
    }
    std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
    RegistryAuth auth{base64_encoded(text, true)};
    explicit_bzero(text.data(), text.size());
    return auth;
}

std::string base64_encoded(std::string_view bytes, bool url_safe) {
    const std::string_view alphabet = url_safe ? url_alphabet : standard_alphabet;
    std::string encoded;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::string_view group = bytes.substr(i, 3);
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            bits = (bits << 8U) | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            encoded += j <= group.size() ? alphabet[(bits >> (18U - 6U * j)) & 0x3fU] : '=';
        }
    }
    return encoded;
}

std::string base64_decoded(std::string_view text) {
    text = trim(text);
    while (text.ends_with('=')) {
        text.remove_suffix(1);
    }
    std::string decoded;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        std::size_t value = standard_alphabet.find(c);
        if (value == std::string_view::npos) {
            value = url_alphabet.find(c);
        }
        if (value == std::string_view::npos) {
            throw Error(ErrorKind::registry_denied, "it is not base64");
        }
        bits = ((bits << 6U) | static_cast<std::uint32_t>(value)) & 0xffffffU;
        count += 6;
        if (count >= 8) {
            count -= 8;
            decoded += static_cast<char>((bits >> count) & 0xffU);
        }
    }
    return decoded;
}

}  // namespace drunner
