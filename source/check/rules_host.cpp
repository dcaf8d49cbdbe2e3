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

bool is_below(std::string_view path, std::initializer_list<std::string_view> directories) {
    return std::any_of(directories.begin(), directories.end(), [&](std::string_view directory) {
        return path.starts_with(directory) &&
               (path.size() == directory.size() || path[directory.size()] == '/');
    });
}

bool is_system_path(std::string_view path) {
    return is_below(path,
                    {"/etc", "/usr", "/bin", "/sbin", "/lib", "/boot", "/root", "/opt", "/var/lib",
                     "/var/spool", "/var/www", "/srv", "/dev/sd", "/proc", "/sys"});
}

bool writes(const ShellRedirection& one) {
    return one.sign.find('>') != std::string::npos && one.sign != ">&";
}

// The files that a command makes or changes on the host, as it names them.
std::vector<std::string> written_paths(const ShellCommand& command) {
    std::vector<std::string> paths;
    for (const ShellRedirection& one : command.redirections) {
        if (writes(one)) {
            paths.push_back(one.target.value);
        }
    }
    const std::string name = command.name();
    const std::vector<const ShellWord*> words = command.arguments();
    if (is_any(name,
               {"tee", "touch", "mkdir", "rm", "rmdir", "truncate", "chmod", "chown", "mkfifo"})) {
        for (const ShellWord* word : words) {
            paths.push_back(word->value);
        }
    } else if (is_any(name, {"cp", "mv", "ln", "install", "rsync"}) && !words.empty()) {
        paths.push_back(words.back()->value);
    } else if (name == "sed" && std::any_of(words.begin(), words.end(), [](auto* word) {
                   return word->value.starts_with("-i");
               })) {
        paths.push_back(words.back()->value);
    }
    return paths;
}

Founds host_unchanged(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        for (const std::string& path : written_paths(command)) {
            if (is_system_path(path)) {
                return "changes '" + printable(path) + "' of the host";
            }
        }
        return std::nullopt;
    });
}

Founds host_programs_unchanged(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        const auto words = command.arguments();
        const auto has = [&](std::initializer_list<std::string_view> wanted) {
            return std::any_of(words.begin(), words.end(),
                               [&](auto* word) { return is_any(word->value, wanted); });
        };
        const bool packages = is_any(name, {"apt-get", "apt", "dpkg", "yum", "dnf", "apk", "pip",
                                            "pip3", "npm", "snap"}) &&
                              has({"install", "remove", "upgrade", "add", "-i", "purge"});
        const bool accounts = is_any(name, {"useradd", "adduser", "usermod", "groupadd", "userdel",
                                            "passwd", "chpasswd", "visudo"});
        const bool services =
            is_any(name, {"systemctl", "service", "crontab", "iptables", "nft", "ufw", "sysctl",
                          "modprobe", "mount", "swapoff", "update-rc.d", "setenforce"});
        if (!packages && !accounts && !services) {
            return std::nullopt;
        }
        return "changes the host with '" + name + "'";
    });
}

Founds own_temporary_names(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        for (const std::string& path : written_paths(command)) {
            if (is_below(path, {"/tmp", "/var/tmp", "/dev/shm"}) &&
                path.find('$') == std::string::npos && path.find('`') == std::string::npos &&
                path.find("XXXXXX") == std::string::npos) {
                return "uses the fixed name '" + printable(path) + "'";
            }
        }
        return std::nullopt;
    });
}

bool is_download(const ShellCommand& command) {
    return is_any(command.name(), {"curl", "wget"});
}

bool is_shell_name(std::string_view name) {
    return is_any(name, {"sh", "bash", "dash", "/bin/sh", "/bin/bash", "python", "python3", "perl",
                         "source", "."});
}

Founds runs_no_download(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        const auto& commands = script.text.commands;
        for (std::size_t i = 0; i < commands.size(); ++i) {
            if (!is_download(commands[i])) {
                continue;
            }
            // `curl | gunzip | sh`, and `bash <(curl ...)`, where the inner one comes first.
            std::size_t next = i;
            while (next + 1 < commands.size() && commands[next].link == ShellCommand::Link::pipe) {
                ++next;
                if (is_shell_name(commands[next].name())) {
                    break;
                }
            }
            const bool piped = next > i && is_shell_name(commands[next].name());
            const bool inside =
                i + 1 < commands.size() &&
                (is_shell_name(commands[i + 1].name()) || commands[i + 1].name() == "eval") &&
                std::any_of(commands[i + 1].words.begin(), commands[i + 1].words.end(),
                            [&](const ShellWord& word) {
                                return word.value.find(commands[i].name() + " ") !=
                                       std::string::npos;
                            });
            if (piped || inside) {
                found.push_back({"runs what it downloads", script.name, commands[i].line});
            }
        }
    }
    return found;
}

Founds verified_downloads(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (!is_download(command)) {
            return std::nullopt;
        }
        for (const ShellWord* word : command.arguments()) {
            if (is_any(word->value, {"-k", "--insecure", "--no-check-certificate"})) {
                return "downloads without looking at the certificate";
            }
            if (word->value.starts_with("http://") &&
                !word->value.starts_with("http://localhost") &&
                !word->value.starts_with("http://127.")) {
                return "downloads in the clear: '" + printable(word->value) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds nothing_in_background(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        if (command.link != ShellCommand::Link::background && name != "nohup" && name != "disown") {
            return std::nullopt;
        }
        return "leaves '" + printable(name) + "' running in the background";
    });
}

Founds needs_no_sudo(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        if (command.words.empty() || !is_any(command.words[0].value, {"sudo", "su", "doas"})) {
            return std::nullopt;
        }
        return "calls '" + command.words[0].value + "'";
    });
}

Founds engine_is_drunners(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        for (const ShellAssignment& one : script.text.assignments()) {
            if (one.name == "DOCKER_HOST" || one.name == "DOCKER_CONTEXT") {
                found.push_back({"sets '" + one.name + "'", script.name, one.line});
            }
        }
        for (const DockerCall& call : script.docker) {
            for (const ShellWord* word : call.command->arguments()) {
                if (!word->value.starts_with("-")) {
                    break;
                }
                if (is_any(word->value, {"-H", "--host", "-c", "--context"}) ||
                    word->value.starts_with("--host=") || word->value.starts_with("-H")) {
                    found.push_back({"names an engine of its own: '" + printable(word->value) + "'",
                                     script.name, call.command->line});
                    break;
                }
            }
        }
    }
    return found;
}

Founds no_dead_programs(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        if (!is_any(name, {"docker-compose", "docker-machine", "boot2docker", "brctl", "ifconfig",
                           "netstat", "7za"})) {
            return std::nullopt;
        }
        return "needs '" + name + "', which hosts of today do not have";
    });
}

}  // namespace

std::vector<Rule> host_rules() {
    using enum Severity;
    return {
        {"host-files-unchanged", 2, error, Needs::files, "scripts change no file of the host",
         "what a script writes to /etc stays after obliterate, is in no backup, and no roll-back "
         "takes it back; the 2016 tool ran even servicecfg.sh as root, which could do the same",
         "keep it in a volume, or in SERVICETEMPDIR", host_unchanged},
        {"host-programs-unchanged", 2, error, Needs::files,
         "scripts install, start and configure nothing on the host",
         "an install that is undone leaves packages, accounts and timers behind; two services "
         "fight over them",
         "put the program into the image, or ask the operator for it in the help text",
         host_programs_unchanged},
        {"own-temporary-names", 2, error, Needs::files, "temporary files have names of their own",
         "fixed names made it impossible to run two operations at once, a crash blocked the next "
         "run, and any user of the host can put a link to /etc/passwd there first",
         "use $(mktemp) or \"$SERVICETEMPDIR\"", own_temporary_names},
        {"runs-no-download", 2, error, Needs::files, "nothing that is downloaded is run",
         "the old tool updated itself with code that nobody had verified, as root",
         "put the program into the image, or verify its checksum first", runs_no_download},
        {"verified-downloads", 2, error, Needs::files, "downloads come from whom they name",
         "without TLS everybody on the way decides what the host gets",
         "use https:// and leave the certificate check on", verified_downloads},
        {"nothing-in-background", 2, warning, Needs::files,
         "scripts leave no process of the host behind",
         "it outlives a failed operation and its undo, and holds the hook's output open until the "
         "time limit",
         "run it in a container, with docker run -d", nothing_in_background},
        {"needs-no-sudo", 2, warning, Needs::files, "scripts do not ask for root",
         "they are root already; where sudo is missing, or wants a terminal, the hook fails",
         "leave it out", needs_no_sudo},
        {"engine-is-drunners", 2, error, Needs::files, "scripts use the engine that drunner uses",
         "with an engine of its own the script makes containers where drunner neither finds, "
         "stops nor removes them",
         "leave DOCKER_HOST as it is", engine_is_drunners},
        {"no-dead-programs", 2, warning, Needs::files, "scripts use programs that hosts have",
         "docker-compose 1 and the like are gone from Debian 12: services of 2016 that called them "
         "stopped at \"command not found\"",
         "use docker's own commands", no_dead_programs},
    };
}

}  // namespace drunner
