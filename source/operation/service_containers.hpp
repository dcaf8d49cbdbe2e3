#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The containers of a service, as the contract defines them: those labelled drunner.service=S, and
// those named S or S-... whose image is that of one of its releases or extra images and that carry
// no other service's label. Without drunner's own kept and scratch containers. In order of
// creation. One request.
std::vector<ContainerSummary> containers_of(Machine& machine, const ServiceName& service);
// The same out of a list of all containers, as the engine gave it. No request.
std::vector<ContainerSummary> containers_of(const Machine& machine, const ServiceName& service,
                                            const std::vector<ContainerSummary>& all);

// Containers of others that mount one of the volumes: "NAME (VOLUME)" each.
std::vector<std::string> strangers_on(Machine& machine, const ServiceName& service,
                                      const std::vector<std::string>& volumes);

// Throws Error(in_use) naming the strangers that run on the volumes.
void require_idle_of_strangers(Machine& machine, const ServiceName& service,
                               const std::vector<std::string>& volumes);

// What restore_containers needs to bring the service's containers back as they are now: every
// inspect answer and state.
nlohmann::json record_containers(Machine& machine, const ServiceName& service);

// Brings them back: containers made since are removed, recorded ones that are gone are created
// again from the record, and each is started, stopped or paused as it was. Idempotent. Throws an
// Error that names every container that could not be brought back, after trying them all.
void restore_containers(Machine& machine, const ServiceName& service, const nlohmann::json& record);

// Starts again, in their old order, those of the record that ran then and do not now: for the end
// of work that stopped or paused them. What was run with --rm is made again, unless something has
// taken its name since. Others stay as they are.
void resume_containers(Machine& machine, const nlohmann::json& record);

// Stops what runs, the last started first.
void stop_containers(Machine& machine, const ServiceName& service);

// Removes them all; throws an Error that names those that could not be removed.
void remove_containers(Machine& machine, const ServiceName& service);

// Removes the container "S-HOOK" that a killed hook left, where it is the service's.
void remove_hook_container(Machine& machine, const ServiceName& service, std::string_view hook);

}  // namespace drunner
