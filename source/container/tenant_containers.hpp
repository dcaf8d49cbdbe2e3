#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "container/container_request.hpp"
#include "container/tenant.hpp"
#include "core/progress.hpp"
#include "engine/engine.hpp"
#include "engine/registry.hpp"
#include "host/paths.hpp"

namespace drunner {

// What the calls below need of the world.
struct ContainerHost {
    Engine& engine;
    Registry& registry;
    Progress& progress;
    Paths paths;
    std::string command_line;        // for the lock
    std::chrono::seconds lock_wait;  // at least a minute is waited
};

// The containers of one tenant. Nothing about them is kept outside the engine: the labels carry
// what was asked for, everything else is asked when it is needed. `container` is the id, its first
// 12 digits or more, or the Name; one that the tenant has not got is Error(engine_not_found),
// whoever else has it.
class TenantContainers {
  public:
    TenantContainers(ContainerHost host, Tenant tenant)
        : host_(std::move(host)), tenant_(std::move(tenant)) {}

    // Creates and starts it, with its network and image where they are missing; answers the id.
    // When it throws, nothing of it is left. A taken Name is Error(engine_conflict), more CPU than
    // the host has Error(usage).
    std::string run(const ContainerRequest& request);
    // The request as it was given, and "State": Id, Status, ExitCode, StartedAt, FinishedAt,
    // Restarts, OOMKilled, Failed, Address. JSON.
    std::string inspect(std::string_view container);
    // TERM, its time, KILL; the tenant's network goes with the last container on it, the image of a
    // root directory with the last container of it.
    void remove(std::string_view container);
    void read_logs(std::string_view container, unsigned last_lines, bool follow,
                   const ByteSink& out, const ByteSink& err);
    // The program's exit code.
    int exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
             const ByteSink& err);

  private:
    Container find(std::string_view container);
    std::string create(const ContainerRequest& request, const std::string& image);
    bool remove_leftover(const std::string& name);
    bool make_network(const std::string& name);
    void remove_unused_network(const std::string& name);
    void remove_unused_root(const std::string& image);

    ContainerHost host_;
    Tenant tenant_;
};

struct TenantContainer {
    std::string tenant;
    std::string name;
    std::string id;
    std::string image;
    std::string state;   // as the engine says it
    std::string status;  // "Up 3 minutes"
};

// The containers of a tenant, of all tenants where it is empty; by tenant and name.
std::vector<TenantContainer> list_tenant_containers(Engine& engine, const std::string& tenant);
// The same as a JSON array of objects: Tenant, Name, Id, Image, State, Status.
std::string container_list_document(const std::vector<TenantContainer>& containers);

}  // namespace drunner
