#include <algorithm>
#include <charconv>

#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/doctor_checks.hpp"

namespace drunner {
namespace {

constexpr std::int64_t scratch_age_seconds = 3600;

std::string in_quotes(const std::string& text) {
    return "'" + printable(text) + "'";
}

bool is_keep(const ContainerSummary& container) {
    return container.labels.contains(label::keep);
}

std::int64_t seconds_now(const Machine& machine) {
    return std::chrono::duration_cast<std::chrono::seconds>(machine.clock.now().time_since_epoch())
        .count();
}

// A container that a service of ours left when it was uninstalled: scripts label only the service,
// so the volumes that it mounts tell whose it is.
bool mounts_own_volume(const Examination& examination, const ContainerSummary& container) {
    return std::any_of(container.mounts.begin(), container.mounts.end(), [&](const Mount& mount) {
        return std::any_of(
            examination.volumes.begin(), examination.volumes.end(), [&](const Volume& volume) {
                return volume.name == mount.volume && examination.is_own(volume.labels);
            });
    });
}

bool is_left_over(const Examination& examination, const ContainerSummary& container) {
    const std::string service = label_value(container.labels, label::service);
    if (container.labels.contains(label::scratch) || !ServiceName::is_valid(service)) {
        return false;
    }
    if (is_keep(container)) {
        if (!examination.is_own(container.labels)) {
            return false;
        }
        if (examination.is_gone(service)) {
            return !examination.has_own_volume(service);
        }
        const Manifest* manifest = examination.manifest_here(ServiceName(service));
        return manifest != nullptr && manifest->previous == 0 &&
               container.name == previous_keep_container(manifest->name);
    }
    if (!examination.is_gone(service) || examination.has_own_keep(service)) {
        return false;
    }
    const std::string owner = label_value(container.labels, label::installation);
    return owner.empty() ? mounts_own_volume(examination, container)
                         : examination.is_own(container.labels);
}

// "S.N" of "localhost/drunner:S.N"; the name is empty where the tag is no pin.
struct Pin {
    std::string service;
    int release = 0;
};

Pin pin_of(const std::string& reference) {
    const std::string tag = reference.substr(reference.rfind(':') + 1);
    const std::size_t dot = tag.rfind('.');
    if (dot == std::string::npos || !ServiceName::is_valid(tag.substr(0, dot))) {
        return {};
    }
    const std::string service = tag.substr(0, dot);
    const int release = release_of_pin(ServiceName(service), reference);
    return release == 0 ? Pin{} : Pin{service, release};
}

}  // namespace

void check_engine(const Examination& examination, const Tell& tell) {
    if (!examination.engine_problem.empty()) {
        tell({{}, examination.engine_problem, "systemctl start docker", {}});
    }
}

void check_lost_installations(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    for (const ContainerSummary& container : examination.containers) {
        const std::string service = label_value(container.labels, label::service);
        if (is_keep(container) && examination.is_own(container.labels) &&
            ServiceName::is_valid(service) &&
            container.name == keep_container(ServiceName(service)) &&
            examination.is_gone(service) && examination.has_own_volume(service)) {
            tell({service,
                  "the files of service '" + service + "' are gone",
                  "drunner recover " + service + " (or: drunner obliterate " + service + ")",
                  {}});
        }
    }
}

void check_orphan_containers(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Engine& engine = examination.machine.engine;
    for (const ContainerSummary& container : examination.containers) {
        if (!is_left_over(examination, container)) {
            continue;
        }
        const std::string service = label_value(container.labels, label::service);
        const auto remove = [&engine, id = container.id] { engine.remove_container(id); };
        tell({service,
              "container " + in_quotes(container.name) + " belongs to no service",
              {},
              examination.is_gone(service)
                  ? while_gone(examination, service, remove)
                  : under_lock(
                        examination.machine, ServiceName(service),
                        [](const Manifest& manifest) { return manifest.previous == 0; },
                        [remove](const Manifest&) { remove(); })});
    }
}

void check_scratch(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Engine& engine = examination.machine.engine;
    const auto is_ours = [&](const Labels& labels) {
        return labels.contains(label::scratch) &&
               (!labels.contains(label::installation) || examination.is_own(labels));
    };
    for (const ContainerSummary& container : examination.containers) {
        if (is_ours(container.labels) &&
            seconds_now(examination.machine) - container.created >= scratch_age_seconds) {
            tell({{},
                  "scratch container " + in_quotes(container.name) + " is left over",
                  {},
                  [&engine, id = container.id] { engine.remove_container(id); }});
        }
    }
    for (const Volume& volume : examination.volumes) {
        // Nobody writes into it: its directory is as old as it is.
        if (is_ours(volume.labels) && is_abandoned(examination.machine, volume.mountpoint)) {
            tell({{},
                  "scratch volume " + in_quotes(volume.name) + " is left over",
                  {},
                  [&engine, name = volume.name] { engine.remove_volume(name); }});
        }
    }
}

void check_orphan_volumes(const Examination& examination, const Tell& tell) {
    for (const Volume& volume : examination.volumes) {
        const std::string service = label_value(volume.labels, label::service);
        if (!examination.is_own(volume.labels) || !ServiceName::is_valid(service) ||
            volume.labels.contains(label::scratch)) {
            continue;
        }
        if (examination.is_gone(service)) {
            if (examination.whole_host && !examination.has_own_keep(service)) {
                tell({service,
                      "volume " + in_quotes(volume.name) + " belongs to '" + service +
                          "', which is not installed",
                      "drunner obliterate " + service + " (or: drunner install IMAGE " + service +
                          ")",
                      {}});
            }
            continue;
        }
        const Manifest* manifest = examination.manifest(service);
        const bool looked_at = std::find(examination.services.begin(), examination.services.end(),
                                         ServiceName(service)) != examination.services.end();
        if (manifest != nullptr && looked_at &&
            std::none_of(manifest->volumes.begin(), manifest->volumes.end(),
                         [&](const ManagedVolume& one) { return one.name == volume.name; })) {
            tell({service,
                  "volume " + in_quotes(volume.name) + " is not in the service.json of '" +
                      service + "'",
                  "docker volume inspect " + volume.name,
                  {}});
        }
    }
}

void check_orphan_networks(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Engine& engine = examination.machine.engine;
    for (const Network& network : examination.networks) {
        const std::string service = label_value(network.labels, label::service);
        if (examination.is_own(network.labels) && examination.is_gone(service)) {
            tell({service,
                  "network " + in_quotes(network.name) + " belongs to no service",
                  {},
                  while_gone(examination, service,
                             [&engine, id = network.id] { engine.remove_network(id); })});
        }
    }
}

void check_orphan_pins(const Examination& examination, const Tell& tell) {
    if (!examination.whole_host) {
        return;
    }
    Engine& engine = examination.machine.engine;
    for (const ImageTag& tag : examination.pins) {
        const Pin pin = pin_of(tag.reference);
        if (pin.service.empty()) {
            continue;
        }
        const std::string what = "image tag '" + tag.reference + "' belongs to no release";
        const auto remove = [&engine, reference = tag.reference] {
            engine.remove_image(reference);
        };
        if (!examination.is_gone(pin.service)) {
            const ServiceName name(pin.service);
            const Manifest* manifest = examination.manifest_here(name);
            const bool looked_at =
                std::find(examination.services.begin(), examination.services.end(), name) !=
                examination.services.end();
            const auto is_no_release = [release = pin.release](const Manifest& one) {
                return one.find_release(release) == nullptr;
            };
            if (manifest != nullptr && looked_at && is_no_release(*manifest)) {
                tell({pin.service,
                      what,
                      {},
                      under_lock(examination.machine, name, is_no_release,
                                 [remove](const Manifest&) { remove(); })});
            }
        } else if (!examination.has_own_keep(pin.service) &&
                   !examination.has_foreign_keep(pin.service)) {
            // A tag carries no label: only a volume of that service proves that it is ours.
            if (examination.has_own_volume(pin.service)) {
                tell({pin.service, what, {}, while_gone(examination, pin.service, remove)});
            } else {
                tell({pin.service, what, "docker image rm " + tag.reference, {}});
            }
        }
    }
}

}  // namespace drunner
