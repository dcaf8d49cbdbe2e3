#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/shell_text.hpp"

namespace drunner {

struct DockerOption {
    std::string name;   // without dashes: "v", "volume"
    std::string value;  // without quotes; empty for a flag
    std::vector<ShellExpansion> expansions;
};

// A call of docker's command line in a script.
struct DockerCall {
    const ShellCommand* command = nullptr;
    std::string verb;  // "run", "exec", "volume rm"; "container run" is "run"
    std::vector<DockerOption> options;
    std::vector<const ShellWord*> words;  // what is no option: image or container first

    bool has(std::string_view name, std::string_view other = {}) const;
    // The values of an option, by both of its names.
    std::vector<const DockerOption*> values(std::string_view name,
                                            std::string_view other = {}) const;
    // Any word of it expands that variable.
    bool mentions(std::string_view variable) const;
    // For `run` and `create`: it starts a container of the service's own image.
    bool of_own_image() const { return starts_container() && mentions("IMAGENAME"); }
    bool starts_container() const { return verb == "run" || verb == "create"; }
    // What -v and --mount bring in, each with its source and target.
    struct Mounted {
        std::string source;
        std::string target;
    };
    std::vector<Mounted> mounts() const;
};

// Empty where the command is no call of docker or podman.
std::optional<DockerCall> docker_call(const ShellCommand& command);

}  // namespace drunner
