#include <algorithm>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

bool is_any(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// `[ -t 0 ]`, `[[ -t 1 ]]`, `test -t 0`, `tty -s`.
bool tests_terminal(const ShellText& text) {
    return std::any_of(text.commands.begin(), text.commands.end(), [](const ShellCommand& one) {
        const std::string name = one.name();
        const auto words = one.arguments();
        return name == "tty" || (is_any(name, {"[", "[[", "test"}) &&
                                 std::any_of(words.begin(), words.end(),
                                             [](auto* word) { return word->value == "-t"; }));
    });
}

Founds no_blind_terminal(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        if (tests_terminal(script.text)) {
            continue;
        }
        // `enter` is for people; who calls it has a terminal.
        const auto enter = verb_commands(script.text, "enter");
        for (const DockerCall& call : script.docker) {
            const bool entering =
                enter && std::find(enter->begin(), enter->end(), call.command) != enter->end();
            if (!entering && is_any(call.verb, {"run", "exec", "create"}) && call.has("t", "tty")) {
                found.push_back({"wants a terminal: docker " + call.verb + " -t", script.name,
                                 call.command->line});
            }
        }
    }
    return found;
}

Founds containers_named_by_service(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!call.starts_container()) {
            return std::nullopt;
        }
        for (const DockerOption* option : call.values("name")) {
            if (option->expansions.empty() && !option->value.empty()) {
                return "the container is always called '" + printable(option->value) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds containers_known(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (call.verb != "run" || !call.has("d", "detach") || call.mentions("DOCKEROPTS")) {
            return std::nullopt;
        }
        const auto labels = call.values("l", "label");
        const auto names = call.values("name");
        const auto mentions = [](const DockerOption* option) {
            return option->value.find("SERVICENAME") != std::string::npos;
        };
        if (std::any_of(labels.begin(), labels.end(), mentions) ||
            std::any_of(names.begin(), names.end(),
                        [](const DockerOption* option) { return !option->expansions.empty(); })) {
            return std::nullopt;
        }
        return "starts a container that neither its name nor a label ties to the service";
    });
}

Founds ports_chosen(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!call.starts_container()) {
            return std::nullopt;
        }
        for (const DockerOption* option : call.values("p", "publish")) {
            if (option->expansions.empty() && option->value.find(':') != std::string::npos) {
                return "always publishes '" + printable(option->value) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds nothing_pruned(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (call.verb.ends_with(" prune") || call.verb == "prune") {
            return "removes other services' things: docker " + call.verb;
        }
        if (is_any(call.verb, {"rm", "rmi", "stop", "kill", "volume rm"})) {
            for (const ShellWord* word : call.words) {
                const std::string& text = word->value;
                const bool lists = text.find("docker ps") != std::string::npos ||
                                   text.find("docker volume ls") != std::string::npos ||
                                   text.find("docker images") != std::string::npos;
                if (lists && text.find("--filter") == std::string::npos &&
                    text.find(" -f ") == std::string::npos) {
                    return "removes or stops everything that is listed";
                }
            }
        }
        return std::nullopt;
    });
}

Founds image_stays(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!is_any(call.verb, {"pull", "build", "tag", "rmi", "load", "commit", "image rm",
                                "image pull", "image build", "image tag"})) {
            return std::nullopt;
        }
        return "changes images: docker " + call.verb;
    });
}

// The first word of `docker run` that is no option.
const ShellWord* image_of(const DockerCall& call) {
    return call.starts_container() && !call.words.empty() ? call.words.front() : nullptr;
}

Founds images_declared(const Subject& subject) {
    const std::vector<std::string>& declared = subject.facts.config->extra_containers;
    return subject.in_docker_calls([&](const DockerCall& call) -> Message {
        const ShellWord* image = image_of(call);
        if (image == nullptr || !image->literal() || image->value.empty() ||
            std::find(declared.begin(), declared.end(), image->value) != declared.end()) {
            return std::nullopt;
        }
        return "starts '" + printable(image->value) + "', which EXTRACONTAINERS does not name";
    });
}

Founds own_image_pinned(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        const ShellWord* image = image_of(call);
        if (image == nullptr || !image->mentions("IMAGEREF")) {
            return std::nullopt;
        }
        return "starts IMAGEREF, which others can move";
    });
}

Founds logs_in_nowhere(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (call.verb != "login") {
            return std::nullopt;
        }
        return "logs in to a registry";
    });
}

}  // namespace

std::vector<Rule> docker_rules() {
    using enum Severity;
    return {
        {"no-blind-terminal", 2, error, Needs::files, "no container demands a terminal",
         "\"the input device is not a TTY\": backups of the 2016 tool failed under cron and "
         "Ansible, and a terminal changes the bytes of 'S dump > file'",
         "use dockerrun, or add -t only where [[ -t 0 && -t 1 ]]", no_blind_terminal},
        {"containers-named-by-service", 4, error, Needs::files,
         "names of containers follow the service's name",
         "fixed names made two operations at once impossible, and a second installation, or a "
         "restore beside the first, fails on the name",
         "--name \"$SERVICENAME\" or \"$SERVICENAME-web\"", containers_named_by_service},
        {"containers-known", 4, error, Needs::files,
         "drunner can tell which containers are its own",
         "what carries neither label nor name of the service is not stopped before a backup and "
         "not removed by uninstall: it goes on with the old image",
         "start it with \"${DOCKEROPTS[@]}\" and --name \"$SERVICENAME\"", containers_known},
        {"ports-chosen", 3, note, Needs::files, "the operator can choose ports",
         "two installations, and a drill that restores beside the running service, fight for a "
         "fixed port",
         "make the port a setting: -p \"$PORT:80\"", ports_chosen},
        {"nothing-pruned", 4, error, Needs::files, "scripts remove only what is theirs",
         "the clean-up image of the 2016 tool deleted what other services had stopped; docker "
         "volume prune takes every volume that no container mentions",
         "remove by name, or by --filter label=drunner.service=$SERVICENAME", nothing_pruned},
        {"image-stays", 4, warning, Needs::files, "scripts leave images alone",
         "what was checked, pinned and recorded is then not what runs, and a roll-back brings the "
         "wrong one back",
         "name further images in EXTRACONTAINERS; drunner pulls them", image_stays},
        {"images-declared", 4, warning, Needs::config, "images that are started are declared",
         "the old update renewed the main image only: the database stayed years old, and an "
         "install without network failed at its first start",
         "add it to EXTRACONTAINERS", images_declared},
        {"own-image-pinned", 4, error, Needs::files, "containers start the pinned image",
         "IMAGEREF is a tag that a push moves: what starts after a reboot is an image that nobody "
         "checked",
         "start \"$IMAGENAME\"", own_image_pinned},
        {"logs-in-nowhere", 2, error, Needs::files, "scripts log in to no registry",
         "docker login writes the password to root's config.json, for every other program to use",
         "let the operator log in; drunner reads the credentials itself", logs_in_nowhere},
    };
}

}  // namespace drunner
