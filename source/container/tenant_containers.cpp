#include "container/tenant_containers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "container/container_state.hpp"
#include "container/root_image.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/json_fields.hpp"
#include "host/lock.hpp"

namespace drunner {
namespace {

using nlohmann::json;

std::string label_of(const Labels& labels, const char* name) {
    const auto found = labels.find(name);
    return found == labels.end() ? std::string() : found->second;
}

std::string label_filter(const char* name, const std::string& value) {
    return std::string(name) + "=" + value;
}

// The engine puts the caller's variables first and adds those of the image behind them.
std::vector<std::string> callers_environment(const json& document, const Labels& labels) {
    const std::string text = label_of(labels, container_label::environment);
    std::size_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    std::vector<std::string> variables;
    const json& all = member(member(document, "Config"), "Env");
    for (std::size_t i = 0; all.is_array() && i < std::min(count, all.size()); ++i) {
        if (all[i].is_string()) {
            variables.push_back(all[i].get<std::string>());
        }
    }
    return variables;
}

// Where others reach it: its address on the tenant's network, empty where it does not run.
std::string address_of(const json& document) {
    const json& networks = member(member(document, "NetworkSettings"), "Networks");
    if (networks.is_object()) {
        for (const auto& [name, network] : networks.items()) {
            if (const std::string address = text_of(network, "IPAddress"); !address.empty()) {
                return address;
            }
        }
    }
    return {};
}

Error unknown_container(const Tenant& tenant, std::string_view container) {
    return Error(ErrorKind::engine_not_found,
                 "tenant '" + tenant.text() + "' has no container '" + printable(container) + "'",
                 "drunner container list " + tenant.text());
}

// Runs and removals of a tenant one after the other: a network must not go while a container that
// wants it comes.
FileLock lock_tenant(const ContainerHost& host, const Tenant& tenant) {
    constexpr std::chrono::seconds patience{60};
    return FileLock::acquire(host.paths.tenant_lock(tenant.text()), host.command_line,
                             std::max(host.lock_wait, patience));
}

void check_processors(Engine& engine, double wanted) {
    if (wanted <= 0) {
        return;
    }
    const unsigned present = engine.info().processors;
    if (present > 0 && wanted > present) {
        throw Error(ErrorKind::usage,
                    fmt::format("this host has {} processors, CPU asks for {}", present, wanted));
    }
}

}  // namespace

// The Name first: it is the engine's own key. What looks like an id may be somebody else's.
Container TenantContainers::find(std::string_view container) {
    const bool is_id = container.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (is_id || is_tenant_object_name(container)) {
        for (const std::string& name : {tenant_.engine_name(container), std::string(container)}) {
            auto found = host_.engine.find_container(name);
            if (found && label_of(found->labels, container_label::tenant) == tenant_.text()) {
                return std::move(*found);
            }
        }
    }
    throw unknown_container(tenant_, container);
}

bool TenantContainers::make_network(const std::string& name) {
    const std::string engine_name = tenant_.engine_name(name);
    ObjectFilter filter;
    filter.name = engine_name;
    const auto known = host_.engine.list_networks(filter);
    if (!known.empty()) {
        if (label_of(known.front().labels, container_label::tenant) != tenant_.text()) {
            throw Error(ErrorKind::engine_conflict,
                        "network '" + engine_name + "' is not one that drunner made",
                        "docker network inspect " + engine_name);
        }
        return false;
    }
    try {
        host_.engine.create_network(engine_name, {{container_label::tenant, tenant_.text()},
                                                  {container_label::network, name}});
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::engine_refused &&
            error.kind() != ErrorKind::engine_not_found) {
            throw;
        }
        throw Error(error.kind(),
                    "the container engine cannot give tenant '" + tenant_.text() +
                        "' a network of its own: " + error.what(),
                    "docker network create --driver bridge try");
    }
    return true;
}

void TenantContainers::remove_unused_network(const std::string& name) {
    if (name.empty()) {
        return;
    }
    // A stopped container still wants it, though the engine would let it go.
    const ObjectFilter users{{label_filter(container_label::tenant, tenant_.text()),
                              label_filter(container_label::network, name)},
                             "",
                             ""};
    if (host_.engine.list_containers(users).empty()) {
        host_.engine.remove_network(tenant_.engine_name(name));
    }
}

void TenantContainers::remove_unused_root(const std::string& image) {
    if (!image.starts_with(std::string(root_repository) + ":")) {
        return;
    }
    try {
        host_.engine.remove_image(image);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::engine_conflict) {
            throw;
        }
        // Another container is of it.
    }
}

// A container that was created and never started, while no other drunner runs one of this tenant:
// what a killed `run` left.
bool TenantContainers::remove_leftover(const std::string& name) {
    const auto found = host_.engine.find_container(tenant_.engine_name(name));
    return found && found->state == "created" &&
           label_of(found->labels, container_label::tenant) == tenant_.text() &&
           host_.engine.remove_container(found->id);
}

std::string TenantContainers::create(const ContainerRequest& request, const std::string& image) {
    const std::string name = tenant_.engine_name(request.name);
    const std::string body = container_body(tenant_, request, image);
    try {
        return host_.engine.create_container_from(name, body);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::engine_conflict && remove_leftover(request.name)) {
            return host_.engine.create_container_from(name, body);
        }
        if (error.kind() == ErrorKind::engine_conflict) {
            throw Error(
                error.kind(),
                "tenant '" + tenant_.text() + "' has a container '" + request.name + "' already",
                "drunner container inspect " + tenant_.text() + " " + request.name);
        }
        if (error.kind() != ErrorKind::engine_not_found || request.has_own_root() ||
            host_.engine.find_image(image)) {
            throw;
        }
    }
    const ImageReference reference(request.root);
    host_.engine.pull_image(reference, host_.registry.credentials(reference), host_.progress);
    return host_.engine.create_container_from(name, body);
}

std::string TenantContainers::run(const ContainerRequest& request) {
    check_processors(host_.engine, request.processors);
    const FileLock lock = lock_tenant(host_, tenant_);
    RootImage root;
    bool made_network = false;
    std::string id;
    try {
        std::string image;
        if (request.has_own_root()) {
            root = import_root(host_.engine, request.root);
            image = root.reference;
        } else {
            image = ImageReference(request.root).engine_name();
        }
        made_network = request.has_own_network() && make_network(request.network);
        id = create(request, image);
        host_.engine.start_container(id);
        return id;
    } catch (...) {
        const CancellationShield shield;
        try {
            if (!id.empty()) {
                host_.engine.remove_container(id);
            } else {
                // The engine may have made it, and nobody heard.
                remove_leftover(request.name);
            }
            if (made_network) {
                remove_unused_network(request.network);
            }
            if (root.made) {
                remove_unused_root(root.reference);
            }
        } catch (const Error& error) {
            host_.progress.warning(
                error.within("what the failed run left cannot be removed").what());
        }
        throw;
    }
}

std::string TenantContainers::inspect(std::string_view container) {
    const Container found = find(container);
    const json engine_document = json::parse(found.document, nullptr, false);
    const json& state = member(engine_document, "State");
    const json& killed = member(state, "OOMKilled");
    json document =
        json::parse(request_document(label_of(found.labels, container_label::request),
                                     callers_environment(engine_document, found.labels)));
    document["State"] = {{"Id", found.id},
                         {"Status", found.state},
                         {"ExitCode", found.exit_code},
                         {"StartedAt", text_of(state, "StartedAt")},
                         {"FinishedAt", text_of(state, "FinishedAt")},
                         {"Restarts", found.restart_count},
                         {"OOMKilled", killed.is_boolean() && killed.get<bool>()},
                         {"Failed", has_failed(container_state(found))},
                         {"Address", address_of(engine_document)}};
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

void TenantContainers::remove(std::string_view container) {
    const FileLock lock = lock_tenant(host_, tenant_);
    const Container found = find(container);
    constexpr std::chrono::seconds engines_own{10};
    const json document = json::parse(found.document, nullptr, false);
    const json& seconds = member(member(document, "Config"), "StopTimeout");
    host_.engine.stop_container(found.id, seconds.is_number_integer()
                                              ? std::chrono::seconds(seconds.get<std::int64_t>())
                                              : engines_own);
    host_.engine.remove_container(found.id);
    remove_unused_network(label_of(found.labels, container_label::network));
    remove_unused_root(found.image);
}

void TenantContainers::read_logs(std::string_view container, unsigned last_lines, bool follow,
                                 const ByteSink& out, const ByteSink& err) {
    const std::string id = find(container).id;
    if (follow) {
        host_.engine.follow_logs(id, last_lines, out, err);
    } else {
        host_.engine.read_logs(id, last_lines, out, err);
    }
}

int TenantContainers::exec(std::string_view container, const ExecRequest& request,
                           const ByteSink& out, const ByteSink& err) {
    return host_.engine.exec(find(container).id, request, out, err);
}

std::vector<TenantContainer> list_tenant_containers(Engine& engine, const std::string& tenant) {
    const ObjectFilter filter{{tenant.empty() ? std::string(container_label::tenant)
                                              : label_filter(container_label::tenant, tenant)},
                              "",
                              ""};
    std::vector<TenantContainer> containers;
    for (ContainerSummary& found : engine.list_containers(filter)) {
        containers.push_back({label_of(found.labels, container_label::tenant),
                              label_of(found.labels, container_label::name), std::move(found.id),
                              std::move(found.image), std::move(found.state),
                              std::move(found.status)});
    }
    std::sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) {
        return std::tie(a.tenant, a.name) < std::tie(b.tenant, b.name);
    });
    return containers;
}

std::string container_list_document(const std::vector<TenantContainer>& containers) {
    json document = json::array();
    for (const TenantContainer& one : containers) {
        document.push_back({{"Tenant", one.tenant},
                            {"Name", one.name},
                            {"Id", one.id},
                            {"Image", one.image},
                            {"State", one.state},
                            {"Status", one.status}});
    }
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace drunner
