#include "operation/service_containers.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds stop_grace{10};

// The namespaces of another container that HostConfig can name, as "container:ID".
constexpr std::array joinable{"NetworkMode", "PidMode", "IpcMode"};
constexpr std::string_view joined = "container:";

bool is_named_for(const std::string& container, const std::string& service) {
    return container == service || container.starts_with(service + "-");
}

std::string label_of(const ContainerSummary& container, const char* key) {
    const auto found = container.labels.find(key);
    return found == container.labels.end() ? std::string() : found->second;
}

std::set<std::string> images_of(const Manifest& manifest) {
    std::set<std::string> images;
    for (const Release& release : manifest.releases) {
        images.insert(release.image_id);
        for (const ExtraImage& extra : release.extra_images) {
            images.insert(extra.id);
        }
    }
    return images;
}

// A container "a-b-x" belongs to a service "a-b" before it belongs to "a".
bool is_nearer_to_another(const Machine& machine, const ServiceName& service,
                          const std::string& container) {
    const std::vector<ServiceName> names = Catalog(machine.paths).names();
    return std::any_of(names.begin(), names.end(), [&](const ServiceName& other) {
        return other.text().size() > service.text().size() && is_named_for(container, other.text());
    });
}

bool is_running(std::string_view state) {
    return state == "running" || state == "paused" || state == "restarting";
}

// The body of POST /containers/create that makes the container of an inspect answer again.
json creation_body(const json& document, const std::map<std::string, std::string>& new_ids) {
    json body = document.at("Config");
    body["Image"] = document.at("Image");
    json host = document.at("HostConfig");
    for (const char* mode : joinable) {
        const std::string value = host.value(mode, "");
        if (!value.starts_with(joined)) {
            continue;
        }
        if (const auto target = new_ids.find(value.substr(joined.size()));
            target != new_ids.end()) {
            host[mode] = std::string(joined) + target->second;
        }
        if (std::string_view(mode) == "NetworkMode") {
            body.erase("Hostname");
            body.erase("ExposedPorts");
        }
    }
    body["HostConfig"] = std::move(host);
    json endpoints = json::object();
    const json networks =
        document.value("NetworkSettings", json::object()).value("Networks", json::object());
    for (const auto& [name, network] : networks.items()) {
        json endpoint = json::object();
        for (const char* kept : {"IPAMConfig", "Links", "Aliases", "DriverOpts"}) {
            if (network.contains(kept) && !network[kept].is_null()) {
                endpoint[kept] = network[kept];
            }
        }
        endpoints[name] = std::move(endpoint);
        break;  // the engine connects one network at creation
    }
    if (!endpoints.empty() && body["HostConfig"].value("NetworkMode", "") != "none") {
        body["NetworkingConfig"] = {{"EndpointsConfig", std::move(endpoints)}};
    }
    return body;
}

// Whether the container shares a namespace of one of these. When that one is made again the engine
// never starts this one again.
bool joins_any(const json& document, const std::map<std::string, std::string>& ids) {
    const json& host = document.at("HostConfig");
    return std::any_of(joinable.begin(), joinable.end(), [&](const char* mode) {
        const std::string value = host.value(mode, "");
        return value.starts_with(joined) && ids.contains(value.substr(joined.size()));
    });
}

// Throws Error(engine_not_found) where it is gone.
void bring_to_state(Engine& engine, const std::string& id, const std::string& wanted) {
    const std::optional<Container> container = engine.find_container(id);
    if (!container) {
        throw Error(ErrorKind::engine_not_found, "there is no container '" + id + "'");
    }
    if (is_running(wanted)) {
        if (container->state == "paused" && wanted != "paused") {
            engine.unpause_container(id);
        } else if (!is_running(container->state)) {
            engine.start_container(id);
        }
        if (wanted == "paused" && container->state != "paused") {
            engine.pause_container(id);
        }
    } else if (is_running(container->state)) {
        engine.stop_container(id, stop_grace);
    }
}

void attempt(std::vector<std::string>& failures, const std::string& container,
             const std::function<void()>& work) {
    try {
        work();
    } catch (const std::exception& error) {
        failures.push_back("container '" + container + "': " + error.what());
    }
}

// One that was run with --rm goes by itself once it has stopped, perhaps just now.
bool await_removal(Machine& machine, const std::string& id) {
    constexpr int attempts = 100;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        if (!machine.engine.find_container(id)) {
            return true;
        }
        machine.clock.wait(std::chrono::milliseconds(100));
    }
    return false;
}

// Run with --rm and stopped: the engine may still take a start before it removes it all the same.
bool goes_by_itself(const json& document, const Container& container) {
    return document.at("HostConfig").value("AutoRemove", false) && !is_running(container.state) &&
           container.state != "created";
}

// Makes those of the record that are gone again and brings all to their recorded state; throws an
// Error that names these failures and those before.
void bring_back(Machine& machine, const json& record, std::vector<std::string> failures) {
    Engine& engine = machine.engine;
    std::map<std::string, std::string> new_ids;
    for (const json& entry : record) {
        const std::string id = entry.at("id");
        const std::string name = entry.at("name");
        attempt(failures, name, [&] {
            std::string now = id;
            const json& document = entry.at("document");
            if (joins_any(document, new_ids)) {
                engine.remove_container(id);
            }
            const auto make = [&] {
                now = engine.create_container_from(name, creation_body(document, new_ids).dump());
                new_ids[id] = now;
                const json settings = document.value("NetworkSettings", json::object());
                if (settings.value("Networks", json::object()).size() > 1) {
                    machine.progress.warning("container '" + name +
                                             "' was made again on its first network only");
                }
            };
            const std::optional<Container> found = engine.find_container(id);
            if (!found || (goes_by_itself(document, *found) && await_removal(machine, id))) {
                make();
            }
            try {
                bring_to_state(engine, now, entry.at("state"));
            } catch (const Error& error) {
                const bool is_going = error.kind() == ErrorKind::engine_conflict ||
                                      error.kind() == ErrorKind::engine_not_found;
                if (now != id || !is_going || !await_removal(machine, id)) {
                    throw;
                }
                make();
                bring_to_state(engine, now, entry.at("state"));
            }
        });
    }
    if (!failures.empty()) {
        throw Error(ErrorKind::engine_refused, "cannot bring back " + join(failures, "; "));
    }
}

}  // namespace

std::vector<ContainerSummary> containers_of(Machine& machine, const ServiceName& service) {
    return containers_of(machine, service, machine.engine.list_containers({}));
}

std::vector<ContainerSummary> containers_of(const Machine& machine, const ServiceName& service,
                                            const std::vector<ContainerSummary>& all) {
    std::set<std::string> images;
    try {
        if (const auto manifest = Catalog(machine.paths).find(service)) {
            images = images_of(*manifest);
        }
    } catch (const Error&) {
        // A broken manifest leaves the labels, which say enough.
    }
    std::vector<ContainerSummary> own;
    for (const ContainerSummary& container : all) {
        if (container.labels.contains(label::keep) || container.labels.contains(label::scratch)) {
            continue;
        }
        const std::string owner = label_of(container, label::service);
        const bool by_name = owner.empty() && is_named_for(container.name, service.text()) &&
                             images.contains(container.image_id) &&
                             !is_nearer_to_another(machine, service, container.name);
        if (owner == service.text() || by_name) {
            own.push_back(container);
        }
    }
    // The engine's list begins with the newest, also of those of one second.
    std::reverse(own.begin(), own.end());
    std::stable_sort(own.begin(), own.end(),
                     [](const auto& a, const auto& b) { return a.created < b.created; });
    return own;
}

std::vector<std::string> strangers_on(Machine& machine, const ServiceName& service,
                                      const std::vector<std::string>& volumes) {
    std::set<std::string> own;
    for (const ContainerSummary& container : containers_of(machine, service)) {
        own.insert(container.id);
    }
    std::vector<std::string> strangers;
    for (const ContainerSummary& container : machine.engine.list_containers({})) {
        if (own.contains(container.id) || container.labels.contains(label::keep) ||
            container.labels.contains(label::scratch) || !is_running(container.state)) {
            continue;
        }
        for (const Mount& mount : container.mounts) {
            if (std::find(volumes.begin(), volumes.end(), mount.volume) != volumes.end()) {
                strangers.push_back("'" + printable(container.name) + "' (on '" + mount.volume +
                                    "')");
                break;
            }
        }
    }
    return strangers;
}

void require_idle_of_strangers(Machine& machine, const ServiceName& service,
                               const std::vector<std::string>& volumes) {
    const std::vector<std::string> strangers = strangers_on(machine, service, volumes);
    if (!strangers.empty()) {
        throw Error(
            ErrorKind::in_use,
            "containers that are not the service's run on its volumes: " + join(strangers, ", "),
            "docker stop CONTAINER");
    }
}

json record_containers(Machine& machine, const ServiceName& service) {
    struct Recorded {
        std::string started;
        json entry;
    };
    std::vector<Recorded> recorded;
    for (const ContainerSummary& summary : containers_of(machine, service)) {
        if (const auto container = machine.engine.find_container(summary.id)) {
            recorded.push_back({container->started_at,
                                {{"id", container->id},
                                 {"name", container->name},
                                 {"state", container->state},
                                 {"document", json::parse(container->document)}}});
        }
    }
    std::stable_sort(recorded.begin(), recorded.end(),
                     [](const auto& a, const auto& b) { return a.started < b.started; });
    json record = json::array();
    for (Recorded& one : recorded) {
        record.push_back(std::move(one.entry));
    }
    return record;
}

void resume_containers(Machine& machine, const json& record) {
    json stopped = json::array();
    for (const json& entry : record) {
        const bool ran = is_running(entry.at("state").get<std::string>());
        const bool is_there = machine.engine.find_container(entry.at("id").get<std::string>()) ||
                              !machine.engine.find_container(entry.at("name").get<std::string>());
        if (ran && is_there) {
            stopped.push_back(entry);
        }
    }
    bring_back(machine, stopped, {});
}

void restore_containers(Machine& machine, const ServiceName& service, const json& record) {
    std::set<std::string> recorded_ids;
    for (const json& entry : record) {
        recorded_ids.insert(entry.at("id").get<std::string>());
    }
    std::vector<std::string> failures;
    // One that an earlier, killed attempt made again goes too, and is made once more below.
    for (const ContainerSummary& container : containers_of(machine, service)) {
        if (!recorded_ids.contains(container.id)) {
            attempt(failures, container.name,
                    [&] { machine.engine.remove_container(container.id); });
        }
    }
    bring_back(machine, record, std::move(failures));
}

void stop_containers(Machine& machine, const ServiceName& service) {
    const json record = record_containers(machine, service);
    for (auto entry = record.rbegin(); entry != record.rend(); ++entry) {
        if (is_running(entry->at("state").get<std::string>())) {
            machine.engine.stop_container(entry->at("id").get<std::string>(), stop_grace);
        }
    }
}

void remove_containers(Machine& machine, const ServiceName& service) {
    std::vector<std::string> failures;
    for (const ContainerSummary& container : containers_of(machine, service)) {
        try {
            machine.engine.remove_container(container.id);
        } catch (const Error& error) {
            failures.push_back("cannot remove container '" + container.name + "': " + error.what());
        }
    }
    if (!failures.empty()) {
        throw Error(ErrorKind::engine_refused, join(failures, "; "));
    }
}

void remove_hook_container(Machine& machine, const ServiceName& service, std::string_view hook) {
    const std::string name = service.text() + "-" + std::string(hook);
    for (const ContainerSummary& container : containers_of(machine, service)) {
        if (container.name == name) {
            machine.engine.remove_container(container.id);
        }
    }
}

}  // namespace drunner
