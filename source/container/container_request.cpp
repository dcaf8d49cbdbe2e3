#include "container/container_request.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.hpp"
#include "core/image_reference.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::uint64_t least_memory = 6U << 20U;  // the engine's own bound
constexpr double least_processors = 0.01;
constexpr std::int64_t longest_shutdown = 86'400;

bool is_absolute(const std::string& path) {
    return path.size() > 1 && path.front() == '/' &&
           std::filesystem::path(path).lexically_normal().string() == path &&
           path.find("/..") == std::string::npos;
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Reads one object and gathers what is wrong with it.
class Fields {
  public:
    Fields(const json& object, std::string where, std::vector<std::string>& wrong)
        : object_(object), where_(std::move(where)), wrong_(wrong) {}

    const json* find(const char* name, json::value_t type, const char* expected) {
        known_.insert(name);
        const auto found = object_.find(name);
        if (found == object_.end()) {
            return nullptr;
        }
        const bool fits =
            type == json::value_t::number_float ? found->is_number() : found->type() == type;
        if (!fits) {
            complain(std::string(name) + " is not " + expected);
            return nullptr;
        }
        return &*found;
    }
    std::string text(const char* name) {
        const json* found = find(name, json::value_t::string, "a text");
        return found == nullptr ? std::string() : found->get<std::string>();
    }
    bool flag(const char* name) {
        const json* found = find(name, json::value_t::boolean, "true or false");
        return found != nullptr && found->get<bool>();
    }
    double number(const char* name) {
        const json* found = find(name, json::value_t::number_float, "a number");
        return found == nullptr ? 0 : found->get<double>();
    }
    std::optional<std::int64_t> whole_number(const char* name) {
        known_.insert(name);
        const auto found = object_.find(name);
        if (found == object_.end()) {
            return std::nullopt;
        }
        if (!found->is_number_integer()) {
            complain(std::string(name) + " is not a whole number");
            return std::nullopt;
        }
        return found->get<std::int64_t>();
    }
    std::vector<std::string> texts(const char* name) {
        std::vector<std::string> all;
        const json* found = find(name, json::value_t::array, "a list of texts");
        for (const json& one : found == nullptr ? json::array() : *found) {
            if (!one.is_string()) {
                complain(std::string(name) + " is not a list of texts");
                break;
            }
            all.push_back(one.get<std::string>());
        }
        return all;
    }
    void complain(const std::string& what) { wrong_.push_back(where_ + what); }
    void refuse_unknown() {
        const std::vector<std::string> names(known_.begin(), known_.end());
        for (const auto& [name, value] : object_.items()) {
            if (!known_.contains(name)) {
                const std::string meant = nearest(name, names);
                complain("there is no field '" + printable(name) + "'" +
                         (meant.empty() ? "" : ", did you mean '" + meant + "'?"));
            }
        }
    }

  private:
    const json& object_;
    std::string where_;
    std::vector<std::string>& wrong_;
    std::set<std::string> known_;
};

std::string in_quotes(std::string_view text) {
    return "'" + printable(text) + "'";
}

// "64m", "1g", "4096".
std::optional<std::uint64_t> size_of(std::string_view text) {
    constexpr std::string_view units = "kmg";
    constexpr std::uint64_t largest = 1ULL << 50U;
    unsigned shift = 0;
    if (!text.empty()) {
        if (const auto unit = units.find(text.back()); unit != std::string_view::npos) {
            shift = 10 * (static_cast<unsigned>(unit) + 1);
            text.remove_suffix(1);
        }
    }
    if (text.empty() || text.size() > 15 ||
        text.find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    const std::uint64_t count = std::stoull(std::string(text));
    return count == 0 || count > (largest >> shift) ? std::nullopt : std::optional(count << shift);
}

bool take_bind_option(MountRequest& mount, const std::string& option) {
    static const std::set<std::string> propagations{"private", "rprivate", "slave",
                                                    "rslave",  "shared",   "rshared"};
    if (option == "bind" || option == "rbind") {
        mount.recursive = option == "rbind";
    } else if (propagations.contains(option)) {
        mount.propagation = option;
    } else {
        return false;
    }
    return true;
}

bool take_temporary_option(MountRequest& mount, const std::string& option) {
    if (option.starts_with("size=")) {
        const auto size = size_of(option.substr(5));
        mount.size = size.value_or(0);
        return size.has_value();
    }
    if (option.starts_with("mode=")) {
        const std::string digits = option.substr(5);
        if (digits.empty() || digits.size() > 4 ||
            digits.find_first_not_of("01234567") != std::string::npos) {
            return false;
        }
        mount.mode = static_cast<unsigned>(std::stoul(digits, nullptr, 8));
        return true;
    }
    return false;
}

MountRequest read_mount(const json& object, const std::string& where,
                        std::vector<std::string>& wrong) {
    Fields fields(object, where, wrong);
    MountRequest mount;
    mount.source = fields.text("Source");
    mount.target = fields.text("Target");
    const std::string type = fields.text("Type");
    const std::vector<std::string> options = fields.texts("Options");
    fields.refuse_unknown();
    if (type == "tmpfs") {
        mount.type = MountRequest::Type::temporary;
    } else if (!type.empty() && type != "bind") {
        fields.complain("Type is " + in_quotes(type) + ", not 'bind' or 'tmpfs'");
        return mount;
    }
    const bool is_bind = mount.type == MountRequest::Type::bind;
    if (is_bind && mount.source != "/" && !is_absolute(mount.source)) {
        fields.complain("Source " + in_quotes(mount.source) + " is no absolute path");
    }
    if (!is_absolute(mount.target)) {
        fields.complain("Target " + in_quotes(mount.target) + " is no absolute path");
    }
    for (const std::string& option : options) {
        if (option == "ro" || option == "rw") {
            mount.read_only = option == "ro";
        } else if (!(is_bind ? take_bind_option(mount, option)
                             : take_temporary_option(mount, option))) {
            fields.complain("there is no option " + in_quotes(option) + " for a mount of type '" +
                            (is_bind ? "bind" : "tmpfs") + "'");
        }
    }
    return mount;
}

void read_environment(Fields& fields, ContainerRequest& request) {
    request.environment = fields.texts("Env");
    std::set<std::string> keys;
    for (const std::string& variable : request.environment) {
        const std::size_t equals = variable.find('=');
        // The value may be a secret: only the key is told.
        const std::string key = variable.substr(0, equals);
        if (equals == std::string::npos || key.empty()) {
            fields.complain("Env holds a variable that is not KEY=VALUE");
        } else if (has_control_character(key) || variable.find('\0') != std::string::npos) {
            fields.complain("Env variable " + in_quotes(key) + " cannot be set");
        } else if (!keys.insert(key).second) {
            fields.complain("Env has " + in_quotes(key) + " twice");
        }
    }
}

void read_root(Fields& fields, ContainerRequest& request) {
    request.root = fields.text("RootFS");
    if (request.root.empty()) {
        fields.complain("RootFS is missing: an image's reference, or the path of a directory");
    } else if (request.has_own_root()) {
        if (!is_absolute(request.root)) {
            fields.complain("RootFS " + in_quotes(request.root) +
                            " is no normal path of a directory below /");
        }
    } else {
        try {
            const ImageReference checked(request.root);
        } catch (const Error& error) {
            fields.complain("RootFS: " + std::string(error.what()));
        }
    }
}

void read_network(Fields& fields, ContainerRequest& request, std::vector<std::string>& wrong) {
    constexpr const char* advice =
        "Network.Namespace is missing: a network of the tenant, or 'none' or 'host', said "
        "explicitly";
    const json* network = fields.find("Network", json::value_t::object, "an object");
    if (network == nullptr) {
        fields.complain(advice);
        return;
    }
    Fields inside(*network, "Network: ", wrong);
    request.network = inside.text("Namespace");
    inside.refuse_unknown();
    if (request.network.empty()) {
        fields.complain(advice);
    } else if (!is_tenant_object_name(request.network)) {
        fields.complain("Network.Namespace " + in_quotes(request.network) +
                        " takes 1 to 63 of A-Z a-z 0-9 _ . -");
    }
}

void read_limits(Fields& fields, ContainerRequest& request) {
    request.processors = fields.number("CPU");
    if (request.processors != 0 &&
        (!std::isfinite(request.processors) || request.processors < least_processors)) {
        fields.complain("CPU is a number of processors, at least 0.01");
    }
    if (const auto memory = fields.whole_number("Memory")) {
        request.memory = static_cast<std::uint64_t>(std::max<std::int64_t>(*memory, 0));
        if (*memory < 0 || (*memory > 0 && request.memory < least_memory)) {
            fields.complain("Memory is a number of bytes, at least 6291456");
        }
    }
    if (const auto seconds = fields.whole_number("ShutdownTimeout")) {
        if (*seconds < 0 || *seconds > longest_shutdown) {
            fields.complain("ShutdownTimeout is a number of seconds, at most 86400");
        }
        request.shutdown_timeout = std::chrono::seconds(*seconds);
    }
}

void read_entrypoint(Fields& fields, ContainerRequest& request) {
    const std::string text = fields.text("Entrypoint");
    const auto words = entrypoint_words(text);
    if (!words) {
        fields.complain("Entrypoint " + in_quotes(text) + " has a quote that is not closed");
    } else if (text.find('\0') != std::string::npos) {
        fields.complain("Entrypoint holds a byte 0");
    } else {
        request.entrypoint = *words;
    }
}

json mount_body(const MountRequest& mount) {
    json body{{"Target", mount.target}, {"ReadOnly", mount.read_only}};
    if (mount.type == MountRequest::Type::temporary) {
        body["Type"] = "tmpfs";
        json options = json::object();
        if (mount.size > 0) {
            options["SizeBytes"] = mount.size;
        }
        if (mount.mode) {
            options["Mode"] = *mount.mode;
        }
        body["TmpfsOptions"] = options;
        return body;
    }
    body["Type"] = "bind";
    body["Source"] = mount.source;
    json options{{"NonRecursive", !mount.recursive}};
    if (!mount.propagation.empty()) {
        options["Propagation"] = mount.propagation;
    }
    body["BindOptions"] = options;
    return body;
}

json host_body(const Tenant& tenant, const ContainerRequest& request) {
    constexpr double nano = 1e9;
    json host{{"NetworkMode",
               request.has_own_network() ? tenant.engine_name(request.network) : request.network},
              {"Init", request.interactive},
              {"RestartPolicy", {{"Name", "on-failure"}, {"MaximumRetryCount", engine_restarts}}}};
    json mounts = json::array();
    for (const MountRequest& mount : request.mounts) {
        mounts.push_back(mount_body(mount));
    }
    if (!mounts.empty()) {
        host["Mounts"] = std::move(mounts);
    }
    if (request.processors > 0) {
        host["NanoCpus"] = std::llround(request.processors * nano);
    }
    if (request.memory > 0) {
        host["Memory"] = request.memory;
        host["MemorySwap"] = request.memory;
    }
    if (request.elevated) {
        host["CapAdd"] = {"SYS_ADMIN"};
        host["Devices"] = json::array({{{"PathOnHost", "/dev/fuse"},
                                        {"PathInContainer", "/dev/fuse"},
                                        {"CgroupPermissions", "rwm"}}});
        // The engine's profile forbids mount(2), which the capability is for.
        host["SecurityOpt"] = {"apparmor=unconfined"};
    }
    return host;
}

}  // namespace

std::optional<std::vector<std::string>> entrypoint_words(std::string_view text) {
    constexpr std::string_view blanks = " \t\n";
    std::vector<std::string> words;
    std::string word;
    bool inside = false;
    char quote = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote == '\'') {
            if (c == quote) {
                quote = '\0';
            } else {
                word += c;
            }
        } else if (c == '\\') {
            if (i + 1 == text.size()) {
                return std::nullopt;
            }
            // Between double quotes a backslash means itself before anything else, as in a shell.
            const char next = text[i + 1];
            if (quote == '"' && next != '"' && next != '\\') {
                word += c;
            } else {
                word += next;
                ++i;
            }
            inside = true;
        } else if (quote == '"') {
            if (c == quote) {
                quote = '\0';
            } else {
                word += c;
            }
        } else if (c == '\'' || c == '"') {
            quote = c;
            inside = true;
        } else if (blanks.find(c) != std::string_view::npos) {
            if (inside) {
                words.push_back(std::move(word));
                word.clear();
                inside = false;
            }
        } else {
            word += c;
            inside = true;
        }
    }
    if (quote != '\0') {
        return std::nullopt;
    }
    if (inside) {
        words.push_back(std::move(word));
    }
    return words;
}

ContainerRequest parse_container_request(std::string_view text) {
    constexpr const char* next = "drunner help container";
    json document = json::parse(text, nullptr, false);
    if (!document.is_object()) {
        throw Error(ErrorKind::usage, "the container's specification is not one JSON object", next);
    }
    std::vector<std::string> wrong;
    ContainerRequest request;
    Fields fields(document, "", wrong);
    request.name = fields.text("Name");
    if (!is_tenant_object_name(request.name)) {
        fields.complain("Name " + in_quotes(request.name) +
                        " takes 1 to 63 of A-Z a-z 0-9 _ . - and begins with a letter or digit");
    }
    read_root(fields, request);
    read_environment(fields, request);
    read_network(fields, request, wrong);
    const json* mounts = fields.find("Mounts", json::value_t::array, "a list");
    std::set<std::string> targets;
    for (std::size_t i = 0; mounts != nullptr && i < mounts->size(); ++i) {
        const std::string where = "Mounts[" + std::to_string(i) + "]: ";
        if (!(*mounts)[i].is_object()) {
            wrong.push_back(where + "not an object");
            continue;
        }
        request.mounts.push_back(read_mount((*mounts)[i], where, wrong));
        if (!targets.insert(request.mounts.back().target).second) {
            wrong.push_back(where + "another mount has the same Target");
        }
    }
    read_entrypoint(fields, request);
    request.interactive = fields.flag("Interactive");
    read_limits(fields, request);
    request.elevated = fields.flag("Elevated");
    fields.refuse_unknown();
    if (!wrong.empty()) {
        throw Error(ErrorKind::usage,
                    "the container's specification is wrong: " + join(wrong, "; "), next);
    }
    if (document.contains("Env") && !request.environment.empty()) {
        document.erase("Env");
    }
    request.canonical = document.dump();
    return request;
}

std::string request_document(std::string_view canonical,
                             const std::vector<std::string>& environment) {
    json document = json::parse(canonical, nullptr, false);
    if (!document.is_object()) {
        throw Error(ErrorKind::broken, "the container's label '" +
                                           std::string(container_label::request) +
                                           "' holds no specification");
    }
    if (!environment.empty()) {
        document["Env"] = environment;
    }
    return document.dump();
}

std::string container_body(const Tenant& tenant, const ContainerRequest& request,
                           const std::string& image) {
    json labels{{container_label::tenant, tenant.text()},
                {container_label::name, request.name},
                {container_label::request, request.canonical},
                {container_label::environment, std::to_string(request.environment.size())}};
    json body{{"Image", image},
              {"Env", request.environment},
              {"Tty", request.interactive},
              {"OpenStdin", request.interactive},
              {"StopTimeout", request.grace().count()},
              {"HostConfig", host_body(tenant, request)}};
    if (!request.entrypoint.empty()) {
        body["Entrypoint"] = request.entrypoint;
    }
    if (request.network != "host") {
        body["Hostname"] = request.name;
    }
    if (request.has_own_network()) {
        labels[container_label::network] = request.network;
        body["NetworkingConfig"]["EndpointsConfig"][tenant.engine_name(request.network)] = {
            {"Aliases", {request.name}}};
    }
    body["Labels"] = std::move(labels);
    return body.dump();
}

}  // namespace drunner
