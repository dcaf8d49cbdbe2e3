#include <algorithm>
#include <array>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

bool is_any(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

Founds not_privileged(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!call.has("privileged")) {
            return std::nullopt;
        }
        return "starts a container with --privileged";
    });
}

Founds no_engine_socket(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerCall::Mounted& one : call.mounts()) {
            if (one.source.ends_with("docker.sock") || one.source.ends_with("podman.sock") ||
                one.source == "/var/run" || one.source == "/run") {
                return "mounts the engine's socket: '" + printable(one.source) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds no_root_mount(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerCall::Mounted& one : call.mounts()) {
            if (one.source == "/") {
                return "mounts the host's whole file system";
            }
        }
        return std::nullopt;
    });
}

Founds no_system_mount(const Subject& subject) {
    constexpr std::array<std::string_view, 14> system{"/etc",  "/usr",  "/bin", "/sbin", "/lib",
                                                      "/var",  "/boot", "/dev", "/proc", "/sys",
                                                      "/root", "/home", "/opt", "/srv"};
    return subject.in_docker_calls([&](const DockerCall& call) -> Message {
        for (const DockerCall::Mounted& one : call.mounts()) {
            // The clock of the host is asked for by mounts that can do no harm.
            if (one.source == "/etc/localtime" || one.source == "/etc/timezone" ||
                one.source.ends_with(".sock") || one.source == "/var/run") {
                continue;
            }
            for (const std::string_view top : system) {
                if (one.source == top || one.source.starts_with(std::string(top) + "/")) {
                    return "mounts '" + printable(one.source) + "' of the host";
                }
            }
        }
        return std::nullopt;
    });
}

// A namespace of the host instead of one of its own.
Message of_host(const DockerCall& call, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        for (const DockerOption* option : call.values(name)) {
            if (option->value == "host") {
                return "starts a container with --" + std::string(name) + "=host";
            }
        }
    }
    return std::nullopt;
}

Founds own_network(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) {
        return of_host(call, {"net", "network"});
    });
}

Founds own_processes(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) {
        return of_host(call, {"pid", "ipc", "uts", "userns", "cgroupns"});
    });
}

Founds few_capabilities(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerOption* option : call.values("cap-add")) {
            std::string name = option->value;
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            });
            if (name.starts_with("CAP_")) {
                name.erase(0, 4);
            }
            if (is_any(name, {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO",
                              "DAC_READ_SEARCH", "BPF", "MAC_ADMIN"})) {
                return "adds the capability '" + printable(name) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds confined(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerOption* option : call.values("security-opt")) {
            if (option->value.ends_with("unconfined") || option->value == "label=disable" ||
                option->value == "label:disable") {
                return "turns a protection off: '" + printable(option->value) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds not_as_root(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerOption* option : call.values("u", "user")) {
            const std::string user = option->value.substr(0, option->value.find(':'));
            if (user == "root" || user == "0") {
                return "runs as root in the container";
            }
        }
        return std::nullopt;
    });
}

Founds no_devices(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        const auto devices = call.values("device");
        if (devices.empty()) {
            return std::nullopt;
        }
        return "hands the host's device '" + printable(devices.front()->value) + "' over";
    });
}

bool opens_to_all(std::string_view mode) {
    if (!mode.empty() && mode.find_first_not_of("01234567") == std::string_view::npos) {
        return mode.size() >= 3 && ((mode.back() - '0') & 2) != 0;
    }
    const std::size_t sign = mode.find_first_of("+=");
    if (sign == std::string_view::npos || mode.find('w', sign) == std::string_view::npos) {
        return false;
    }
    const std::string_view who = mode.substr(0, sign);
    return who.find('o') != std::string_view::npos || who.find('a') != std::string_view::npos;
}

Founds no_chmod_777(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (command.name() != "chmod") {
            return std::nullopt;
        }
        for (const ShellWord* word : command.arguments()) {
            if (word->value.starts_with("-")) {
                continue;
            }
            if (opens_to_all(word->value)) {
                return "lets everybody write: chmod " + printable(word->value);
            }
            break;
        }
        return std::nullopt;
    });
}

}  // namespace

std::vector<Rule> privilege_rules() {
    using enum Severity;
    return {
        {"no-privileged", 1, error, Needs::files, "no container is privileged",
         "the images of the label-driven tools of 2015 were all --privileged, which is root on the "
         "host for whoever breaks into the service",
         "add the one --cap-add or --device that is needed", not_privileged},
        {"no-engine-socket", 1, error, Needs::files, "no container gets the engine's socket",
         "who can write to the socket is root on the host; the contract asks to avoid it",
         "let servicerunner call docker, on the host", no_engine_socket},
        {"no-root-mount", 1, error, Needs::files, "no container gets the host's /",
         "with the host's file system in it a container reads every other service's volumes and "
         "secrets",
         "mount one directory that the operator names, or use a volume", no_root_mount},
        {"no-system-mount", 1, warning, Needs::files,
         "no container gets directories of the host's system",
         "backup, restore and removal know of volumes only: what lies in /srv or /opt is neither "
         "saved nor brought back, and /etc is the host's own",
         "use a volume, declared in VOLUMES", no_system_mount},
        {"own-network", 1, warning, Needs::files, "containers have a network of their own",
         "with the host's network two installations fight for one port, and services that listen "
         "on 127.0.0.1 are open to the container",
         "publish ports with -p", own_network},
        {"own-namespaces", 1, error, Needs::files, "containers see no processes of the host",
         "with the host's processes in sight a container reads their environment, which is where "
         "secrets stand",
         "leave the option out", own_processes},
        {"few-capabilities", 1, error, Needs::files, "no capability that amounts to root is added",
         "SYS_ADMIN, SYS_PTRACE, SYS_MODULE and ALL lead out of the container, as --privileged "
         "does",
         "add only what is needed, such as NET_BIND_SERVICE", few_capabilities},
        {"confined", 1, error, Needs::files, "seccomp, AppArmor and SELinux stay on",
         "the known ways out of containers were stopped by the default seccomp profile",
         "leave the option out", confined},
        {"containers-not-root", 1, error, Needs::files, "scripts start nothing as root",
         "the image's USER is checked, and --user root goes around it: the contract insists that "
         "containers do not run as root",
         "give the directory to USER in the Dockerfile; drunner does so for volumes", not_as_root},
        {"no-devices", 1, note, Needs::files, "no device of the host is handed over",
         "the service then only runs on hosts that have the device, and a restore elsewhere fails",
         "say so in the help text", no_devices},
        {"no-chmod-777", 1, warning, Needs::files, "scripts let nobody else write",
         "the 2016 tool made its temporary files and volumes 0777, so that every user of the host "
         "could change them",
         "give the file to the one user that needs it", no_chmod_777},
    };
}

}  // namespace drunner
