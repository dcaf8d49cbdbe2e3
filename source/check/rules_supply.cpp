#include <algorithm>
#include <optional>
#include <set>

#include "check/rules.hpp"
#include "core/error.hpp"
#include "core/image_reference.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

constexpr const char* config_file = "servicecfg.sh";
constexpr std::size_t large_directory = 1U << 20U;

std::optional<ImageReference> parsed(std::string_view text) {
    try {
        return ImageReference(text);
    } catch (const Error&) {
        return std::nullopt;
    }
}

template <typename Look>
Founds in_extra_containers(const Subject& subject, const Look& look) {
    Founds found;
    for (const std::string& text : subject.facts.config->extra_containers) {
        const auto reference = parsed(text);
        if (const Message message = look(text, reference)) {
            found.push_back({*message, config_file, 0});
        }
    }
    return found;
}

using Reference = std::optional<ImageReference>;

Founds extra_fixed(const Subject& subject) {
    return in_extra_containers(subject,
                               [](const std::string& text, const Reference& reference) -> Message {
                                   if (!reference || !reference->digest().empty() ||
                                       reference->tag_or_latest() != "latest") {
                                       return std::nullopt;
                                   }
                                   return "'" + printable(text) + "' is whatever is the latest";
                               });
}

Founds extra_by_digest(const Subject& subject) {
    return in_extra_containers(
        subject, [](const std::string& text, const Reference& reference) -> Message {
            if (!reference || !reference->digest().empty()) {
                return std::nullopt;
            }
            return "'" + printable(text) + "' is a tag, which its owner can move";
        });
}

Founds extra_once(const Subject& subject) {
    std::set<std::string> seen;
    return in_extra_containers(
        subject, [&](const std::string& text, const Reference& reference) -> Message {
            const std::string name =
                reference ? reference->repository() + ":" + reference->manifest() : text;
            if (seen.insert(name).second) {
                return std::nullopt;
            }
            return "'" + printable(text) + "' is there twice";
        });
}

Founds extra_not_itself(const Subject& subject) {
    const auto own = parsed(subject.facts.reference);
    return in_extra_containers(subject,
                               [&](const std::string& text, const Reference& reference) -> Message {
                                   if (!own || !reference || !own->same_as(*reference)) {
                                       return std::nullopt;
                                   }
                                   return "'" + printable(text) + "' is the image itself";
                               });
}

Founds extra_started(const Subject& subject) {
    return in_extra_containers(subject, [&](const std::string& text, const Reference&) -> Message {
        const bool used = std::any_of(
            subject.scripts().begin(), subject.scripts().end(), [&](const Script& script) {
                return script.name != config_file &&
                       (script.file->content.find(text) != std::string::npos ||
                        script.file->content.find("EXTRACONTAINERS") != std::string::npos);
            });
        if (used) {
            return std::nullopt;
        }
        return "no script starts '" + printable(text) + "'";
    });
}

Founds reference_fixed(const Subject& subject) {
    const auto own = parsed(subject.facts.reference);
    if (!own || !own->digest().empty() || own->tag_or_latest() != "latest") {
        return {};
    }
    return {{"'" + printable(subject.facts.reference) + "' is whatever is the latest", "", 0}};
}

Founds small_directory(const Subject& subject) {
    std::size_t bytes = 0;
    for (const auto& [name, file] : *subject.facts.files) {
        bytes += file.content.size();
    }
    if (bytes <= large_directory) {
        return {};
    }
    return {{"/drunner holds " + human_size(bytes), "", 0}};
}

Founds no_programs(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        if (file.content.starts_with("\x7f"
                                     "ELF")) {
            found.push_back({"'" + printable(name) + "' is a program for the host", name, 0});
        }
    }
    return found;
}

Founds no_packed_files(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        for (const std::string_view beginning :
             {std::string_view("\x1f\x8b"), std::string_view("PK\x03\x04"), std::string_view("BZh"),
              std::string_view("\xfd"
                               "7zXZ"),
              std::string_view("\x28\xb5\x2f\xfd")}) {
            if (file.content.starts_with(beginning)) {
                found.push_back({"'" + printable(name) + "' is packed", name, 0});
                break;
            }
        }
    }
    return found;
}

Founds no_clutter(const Subject& subject) {
    Founds found;
    for (const auto& [name, file] : *subject.facts.files) {
        const std::string base = name.substr(name.find_last_of('/') + 1);
        const std::string top = name.substr(0, name.find('/'));
        if (base.ends_with("~") || base.ends_with(".swp") || base.ends_with(".orig") ||
            base.ends_with(".rej") || base.ends_with(".bak") || base == ".DS_Store" ||
            base == "Thumbs.db" || top == ".git" || top == ".svn" || top == "node_modules") {
            found.push_back({"'" + printable(name) + "' is left over", name, 0});
            if (top == ".git" || top == ".svn" || top == "node_modules") {
                break;
            }
        }
    }
    return found;
}

Founds brings_everything(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        const std::string name = command.name();
        const auto words = command.arguments();
        const bool clones = name == "git" && !words.empty() &&
                            (words[0]->value == "clone" || words[0]->value == "pull");
        const bool far =
            (name == "curl" || name == "wget") &&
            std::any_of(words.begin(), words.end(), [](auto* word) {
                return word->value.starts_with("https://") || word->value.starts_with("ftp://");
            });
        if (!clones && !far) {
            return std::nullopt;
        }
        return "brings something from the network: " + name;
    });
}

}  // namespace

std::vector<Rule> supply_rules() {
    using enum Severity;
    return {
        {"extra-containers-fixed", 8, error, Needs::config, "EXTRACONTAINERS have a tag",
         "the database moved to its next major version in an update that changed nothing else, and "
         "could not read its files",
         "write postgres:15 instead of postgres", extra_fixed},
        {"extra-containers-by-digest", 8, note, Needs::config, "EXTRACONTAINERS cannot move",
         "drunner pins the image of the service; extra images are pulled by name and are what the "
         "registry says on that day",
         "write NAME:TAG@sha256:...", extra_by_digest},
        {"extra-containers-once", 8, warning, Needs::config,
         "EXTRACONTAINERS names each image once",
         "images were pulled twice in one operation, which counts twice against the registry's "
         "limit",
         "remove one of the two", extra_once},
        {"extra-containers-not-itself", 8, warning, Needs::config,
         "EXTRACONTAINERS does not name the image itself",
         "the pull moves the tag after the image was checked and pinned", "remove it",
         extra_not_itself},
        {"extra-containers-started", 8, warning, Needs::config,
         "every image of EXTRACONTAINERS is started",
         "an image that nothing starts is pulled at every update, and fails it when it is gone "
         "from the registry",
         "remove it", extra_started},
        {"reference-fixed", 8, note, Needs::image, "the image has a tag of its own",
         "operators cannot say which release they want, nor go back to it",
         "docker build -t NAME:1.2.3", reference_fixed},
        {"small-directory", 8, warning, Needs::files, "/drunner is small",
         "it is read at every install and update, and kept for every release: a servicerunner of "
         "2 GiB filled the disk",
         "put data into the image, outside of /drunner", small_directory},
        {"no-programs", 8, error, Needs::files, "/drunner holds no compiled programs",
         "what runs as root on the host is shown to the operator as a diff of text before an "
         "update: nobody can read a program",
         "put it into the image, and run it in a container", no_programs},
        {"no-packed-files", 8, warning, Needs::files, "/drunner holds nothing packed",
         "scripts that unpack themselves on the host go past every check and every diff",
         "put it into the image", no_packed_files},
        {"no-clutter", 8, warning, Needs::files, "/drunner holds nothing left over",
         ".git holds what was removed from the sources, passwords too; editors' files hold the "
         "version before",
         "add it to .dockerignore", no_clutter},
        {"brings-everything", 8, warning, Needs::files, "scripts bring nothing from the network",
         "what is downloaded at install is not what was reviewed, is another thing tomorrow, and "
         "nothing on a host without network",
         "put it into the image", brings_everything},
    };
}

}  // namespace drunner
