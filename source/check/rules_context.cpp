#include <algorithm>
#include <optional>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;

constexpr const char* docker_file = "Dockerfile";

struct Instruction {
    std::string word;  // in capitals
    std::string text;  // continuation lines joined
    int line = 0;
};

// The instructions of a Dockerfile (its reference): comments gone, continued lines joined.
std::vector<Instruction> instructions(std::string_view text) {
    std::vector<Instruction> result;
    int number = 0;
    bool continued = false;
    for (const std::string& raw : split(text, '\n')) {
        ++number;
        std::string line(trim(raw));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const bool continues = line.back() == '\\';
        if (continues) {
            line.pop_back();
        }
        if (continued && !result.empty()) {
            result.back().text += " " + line;
        } else {
            const std::size_t space = std::min(line.find_first_of(" \t"), line.size());
            Instruction one{line.substr(0, space), std::string(trim(line.substr(space))), number};
            std::transform(one.word.begin(), one.word.end(), one.word.begin(), [](char c) {
                return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            });
            result.push_back(std::move(one));
        }
        continued = continues;
    }
    return result;
}

std::vector<Instruction> instructions(const Subject& subject) {
    const auto& text = subject.facts.context->dockerfile;
    return text ? instructions(*text) : std::vector<Instruction>();
}

template <typename Look>
Founds in_instructions(const Subject& subject, const Look& look) {
    Founds found;
    for (const Instruction& one : instructions(subject)) {
        if (const std::optional<std::string> message = look(one)) {
            found.push_back({*message, docker_file, one.line});
        }
    }
    return found;
}

using Message = std::optional<std::string>;

Founds has_dockerfile(const Subject& subject) {
    if (subject.facts.context->dockerfile) {
        return {};
    }
    return {{"there is no Dockerfile", "", 0}};
}

Founds ends_as_user(const Subject& subject) {
    const std::vector<Instruction> all = instructions(subject);
    if (all.empty()) {
        return {};
    }
    const Instruction* last = nullptr;
    for (const Instruction& one : all) {
        if (one.word == "FROM") {
            last = nullptr;
        } else if (one.word == "USER") {
            last = &one;
        }
    }
    if (last == nullptr) {
        return {{"the last stage sets no USER", docker_file, all.back().line}};
    }
    const std::string user = last->text.substr(0, last->text.find(':'));
    if (user != "root" && user != "0") {
        return {};
    }
    return {{"the last USER is root", docker_file, last->line}};
}

Founds copies_drunner(const Subject& subject) {
    const std::vector<Instruction> all = instructions(subject);
    const bool copies = std::any_of(all.begin(), all.end(), [](const Instruction& one) {
        return (one.word == "COPY" || one.word == "ADD") &&
               (one.text.find("/drunner") != std::string::npos || one.text.ends_with(" /"));
    });
    if (all.empty() || copies) {
        return {};
    }
    return {{"nothing is copied to /drunner", docker_file, 0}};
}

Founds base_fixed(const Subject& subject) {
    return in_instructions(subject, [](const Instruction& one) -> Message {
        if (one.word != "FROM") {
            return std::nullopt;
        }
        std::string image;
        for (const std::string& word : split(one.text, ' ')) {
            if (!word.empty() && !word.starts_with("--")) {
                image = word;
                break;
            }
        }
        const std::string last = image.substr(image.find_last_of('/') + 1);
        const bool fixed = image == "scratch" || image.find('$') != std::string::npos ||
                           image.find('@') != std::string::npos ||
                           (last.find(':') != std::string::npos && !last.ends_with(":latest"));
        if (fixed) {
            return std::nullopt;
        }
        return "builds on '" + printable(image) + "', whatever that is on the day";
    });
}

Founds no_remote_add(const Subject& subject) {
    return in_instructions(subject, [](const Instruction& one) -> Message {
        if (one.word != "ADD" || one.text.find("://") == std::string::npos ||
            one.text.find("--checksum") != std::string::npos) {
            return std::nullopt;
        }
        return "ADD brings a file that nobody verifies";
    });
}

Founds build_runs_no_download(const Subject& subject) {
    return in_instructions(subject, [](const Instruction& one) -> Message {
        if (one.word != "RUN") {
            return std::nullopt;
        }
        const ShellText text = read_shell_text(one.text);
        for (std::size_t i = 0; i + 1 < text.commands.size(); ++i) {
            const std::string name = text.commands[i].name();
            const std::string next = text.commands[i + 1].name();
            if ((name == "curl" || name == "wget") &&
                text.commands[i].link == ShellCommand::Link::pipe &&
                (next == "sh" || next == "bash" || next == "python3")) {
                return "runs what it downloads";
            }
        }
        return std::nullopt;
    });
}

Founds no_upgrade(const Subject& subject) {
    return in_instructions(subject, [](const Instruction& one) -> Message {
        if (one.word != "RUN") {
            return std::nullopt;
        }
        for (const std::string_view words :
             {"apt-get upgrade", "apt-get -y upgrade", "apt-get dist-upgrade", "apt upgrade",
              "apk upgrade", "yum update", "dnf upgrade"}) {
            if (one.text.find(words) != std::string::npos) {
                return "builds another image every day: " + std::string(words);
            }
        }
        return std::nullopt;
    });
}

Founds no_build_secret(const Subject& subject) {
    return in_instructions(subject, [](const Instruction& one) -> Message {
        if (one.word != "ENV" && one.word != "ARG") {
            return std::nullopt;
        }
        const std::size_t end = one.text.find_first_of("= ");
        const std::string name = one.text.substr(0, end);
        for (const std::string_view word : {"PASSWORD", "SECRET", "TOKEN", "API_KEY", "PASSWD"}) {
            const bool empty = end == std::string::npos || trim(one.text.substr(end + 1)).empty();
            if (name.ends_with(word) && !(one.word == "ENV" && empty)) {
                return one.word + " carries '" + printable(name) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds copies_no_secrets(const Subject& subject) {
    const std::set<std::string>& names = subject.facts.context->names;
    if (names.contains(".dockerignore")) {
        return {};
    }
    return in_instructions(subject, [&](const Instruction& one) -> Message {
        if ((one.word != "COPY" && one.word != "ADD") ||
            !(one.text.starts_with(". ") || one.text.starts_with("./ ") ||
              one.text.find(" . ") != std::string::npos)) {
            return std::nullopt;
        }
        for (const char* name : {".git", ".env", ".ssh", ".aws", ".docker", "id_rsa"}) {
            if (names.contains(name)) {
                return "copies everything, '" + std::string(name) + "' too";
            }
        }
        return std::nullopt;
    });
}

}  // namespace

std::vector<Rule> context_rules() {
    using enum Severity;
    return {
        {"dockerfile-present", 1, error, Needs::context, "there is a Dockerfile",
         "without it the image of today cannot be made again: several of the 2016 images are lost",
         "add a Dockerfile beside drunner/", has_dockerfile},
        {"dockerfile-user", 1, error, Needs::context, "the Dockerfile ends as a user",
         "USER root for one step, never taken back, makes an image that no host installs",
         "end with USER 22022:22022", ends_as_user},
        {"dockerfile-copies", 2, error, Needs::context, "the Dockerfile copies /drunner",
         "the image builds and has nothing that drunner could call", "COPY drunner /drunner",
         copies_drunner},
        {"base-fixed", 8, warning, Needs::context, "the base image has a tag",
         "a rebuild of an old release stands on another system, with another bash and other "
         "accounts",
         "FROM debian:bookworm-slim", base_fixed},
        {"no-remote-add", 8, error, Needs::context, "the build verifies what it adds",
         "a changed file on somebody's server is in the next image, and nobody sees it",
         "COPY a file of the sources, or ADD --checksum=...", no_remote_add},
        {"build-runs-no-download", 8, error, Needs::context, "the build runs no download",
         "self-updates of the old tool ran what the network gave them",
         "download, verify its checksum, then run it", build_runs_no_download},
        {"no-upgrade", 8, warning, Needs::context, "the build does not upgrade its base",
         "two builds of one source differ: what was tested is not what is shipped",
         "take a newer base image", no_upgrade},
        {"no-build-secret", 1, error, Needs::context, "the build carries no secret",
         "ARG and ENV stay in the image's history, for everybody who pulls it",
         "RUN --mount=type=secret", no_build_secret},
        {"copies-no-secrets", 1, error, Needs::context, "the build copies no secrets",
         "'COPY .' took .git and .env along, with every password that was ever in them",
         "add .dockerignore, or copy by name", copies_no_secrets},
    };
}

}  // namespace drunner
