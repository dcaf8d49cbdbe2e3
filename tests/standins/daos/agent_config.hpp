#pragma once

#include <optional>
#include <string>
#include <vector>

namespace standin {

struct Fabric {
    int numa_node = 0;
    std::string interface;
    std::string domain;
};

// What daos_agent.yml says.
struct AgentConfig {
    std::vector<std::string> access_points;
    int port = 0;
    std::string runtime_directory = "/var/run/daos_agent";
    bool allow_insecure = false;
    std::string ca_certificate;
    std::string certificate;
    std::string key;
    std::optional<Fabric> fabric;
};

// The part of YAML that the file needs: one key and value a line, lists of one element. Throws
// std::runtime_error that names the line, or what is missing.
AgentConfig read_agent_config(const std::string& path);

}  // namespace standin
