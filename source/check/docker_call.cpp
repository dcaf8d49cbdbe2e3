#include "check/docker_call.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace drunner {
namespace {

// Options of `docker run`, `create` and `exec` that stand alone (docker run's reference); every
// other long option takes a value.
constexpr std::array<std::string_view, 14> flags{
    "detach",         "interactive",      "tty",         "rm",        "privileged",
    "init",           "read-only",        "publish-all", "sig-proxy", "quiet",
    "no-healthcheck", "oom-kill-disable", "force",       "volumes"};
constexpr std::string_view short_with_value = "vuepwlhmca";

bool is_flag(std::string_view name) {
    return std::find(flags.begin(), flags.end(), name) != flags.end();
}

// An array of options, `"${DOCKEROPTS[@]}"`, or a variable that can only be one.
bool is_options_array(const ShellWord& word) {
    return std::any_of(word.expansions.begin(), word.expansions.end(),
                       [](const ShellExpansion& one) { return one.array; });
}

}  // namespace

bool DockerCall::has(std::string_view name, std::string_view other) const {
    return std::any_of(options.begin(), options.end(), [&](const DockerOption& one) {
        return (one.name == name || (!other.empty() && one.name == other)) && one.value != "false";
    });
}

std::vector<const DockerOption*> DockerCall::values(std::string_view name,
                                                    std::string_view other) const {
    std::vector<const DockerOption*> result;
    for (const DockerOption& one : options) {
        if (one.name == name || (!other.empty() && one.name == other)) {
            result.push_back(&one);
        }
    }
    return result;
}

bool DockerCall::mentions(std::string_view variable) const {
    return std::any_of(command->words.begin(), command->words.end(),
                       [&](const ShellWord& word) { return word.mentions(variable); });
}

std::vector<DockerCall::Mounted> DockerCall::mounts() const {
    std::vector<Mounted> result;
    for (const DockerOption* option : values("v", "volume")) {
        const std::vector<std::string> parts = split(option->value, ':');
        if (parts.size() >= 2) {
            result.push_back({parts[0], parts[1]});
        }
    }
    for (const DockerOption* option : values("mount")) {
        Mounted one;
        for (const std::string& field : split(option->value, ',')) {
            const std::size_t equals = field.find('=');
            const std::string key = field.substr(0, equals);
            const std::string value =
                equals == std::string::npos ? std::string() : field.substr(equals + 1);
            if (key == "source" || key == "src") {
                one.source = value;
            } else if (key == "target" || key == "dst" || key == "destination") {
                one.target = value;
            }
        }
        if (!one.source.empty()) {
            result.push_back(std::move(one));
        }
    }
    return result;
}

std::optional<DockerCall> docker_call(const ShellCommand& command) {
    const std::string program = command.name();
    if (program != "docker" && program != "podman" && !program.ends_with("/docker")) {
        return std::nullopt;
    }
    DockerCall call;
    call.command = &command;
    const std::vector<const ShellWord*> words = command.arguments();
    std::size_t at = 0;
    // Options of docker itself, -H URL and the like, stand before the verb.
    while (at < words.size() && words[at]->value.starts_with("-")) {
        const std::string& word = words[at]->value;
        const bool takes_next = word == "-H" || word == "--host" || word == "--context" ||
                                word == "-c" || word == "--config" || word == "-l";
        call.options.push_back(
            {word.substr(std::min(word.find_first_not_of('-'), word.size())), "", {}});
        at += takes_next ? 2U : 1U;
    }
    if (at < words.size()) {
        call.verb = words[at++]->value;
    }
    if (call.verb == "container" && at < words.size()) {
        call.verb = words[at++]->value;
    } else if ((call.verb == "volume" || call.verb == "image" || call.verb == "system" ||
                call.verb == "network" || call.verb == "builder" || call.verb == "compose") &&
               at < words.size()) {
        call.verb += " " + words[at++]->value;
    }
    const bool words_end_options =
        call.verb == "run" || call.verb == "create" || call.verb == "exec";
    for (; at < words.size(); ++at) {
        const ShellWord& word = *words[at];
        const bool option = word.value.size() > 1 && word.value.front() == '-';
        if (!option || (words_end_options && !call.words.empty())) {
            if (!is_options_array(word) || !call.words.empty()) {
                call.words.push_back(&word);
            }
            continue;
        }
        const auto with_next = [&](std::string name) {
            DockerOption one{std::move(name), "", {}};
            if (at + 1 < words.size()) {
                ++at;
                one.value = words[at]->value;
                one.expansions = words[at]->expansions;
            }
            call.options.push_back(std::move(one));
        };
        if (word.value.starts_with("--")) {
            const std::size_t equals = word.value.find('=');
            const std::string name = word.value.substr(0, equals).substr(2);
            if (equals != std::string::npos) {
                call.options.push_back({name, word.value.substr(equals + 1), word.expansions});
            } else if (is_flag(name) || !words_end_options) {
                call.options.push_back({name, "", {}});
            } else {
                with_next(name);
            }
            continue;
        }
        // -it is -i and -t; -p80:80 and -p 80:80 are the same.
        for (std::size_t letter = 1; letter < word.value.size(); ++letter) {
            const std::string name(1, word.value[letter]);
            if (words_end_options && short_with_value.find(name) != std::string_view::npos) {
                if (letter + 1 < word.value.size()) {
                    const std::size_t skip = word.value[letter + 1] == '=' ? 2 : 1;
                    call.options.push_back(
                        {name, word.value.substr(letter + skip), word.expansions});
                } else {
                    with_next(name);
                }
                break;
            }
            call.options.push_back({name, "", {}});
        }
    }
    return call;
}

}  // namespace drunner
