#include "operation/changes.hpp"

#include <set>
#include <utility>

#include "archive/digest.hpp"
#include "core/text.hpp"
#include "core/unified_diff.hpp"
#include "operation/review.hpp"
#include "service/script_acceptance.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

std::string or_unknown(const std::string& text) {
    return text.empty() ? unknown_until_pulled : printable(text);
}

std::string text_of(const Facts& facts) {
    std::string text;
    for (const auto& [name, value] : facts) {
        text += name + ": " + value + "\n";
    }
    return text;
}

// servicerunner is made executable whatever the image says.
bool is_executable(const std::string& path, const ImageFile& file) {
    return file.executable || path == "servicerunner";
}

// A script as a text for a person: what is binary is told by its hash.
std::string shown_script(const std::string& path, const ImageFile* file) {
    if (file == nullptr) {
        return "";
    }
    const bool is_binary = file->content.find('\0') != std::string::npos;
    return (is_executable(path, *file) ? "(executable)\n" : "(not executable)\n") +
           (is_binary ? "binary, sha256 " + sha256_hex(as_bytes(file->content)) + "\n"
                      : shown_text(file->content));
}

const ImageFile* find_file(const ImageFiles& files, const std::string& path) {
    const auto found = files.find(path);
    return found == files.end() ? nullptr : &found->second;
}

void tell_text(Changes& changes, const std::string& header, std::string before, std::string after) {
    changes.texts.push_back({before.empty() ? "/dev/null" : header,
                             after.empty() ? "/dev/null" : header, std::move(before),
                             std::move(after)});
}

}  // namespace

Facts facts_of(const Manifest& manifest) {
    const Release& release = manifest.release();
    Facts facts{{"release", std::to_string(release.number)},
                {"image", printable(release.reference)},
                {"image id", or_unknown(release.image_id)},
                {"engine", printable(manifest.engine_socket)}};
    if (!release.image_digest.empty()) {
        facts["image digest"] = release.image_digest;
    }
    if (!release.user.empty()) {
        facts["user"] = printable(release.user);
    }
    if (!manifest.launcher.empty()) {
        facts["launcher"] = manifest.launcher;
    }
    if (!manifest.pull.empty()) {
        facts["pull policy"] = manifest.pull;
    }
    if (manifest.hold) {
        facts["hold"] =
            "since " + manifest.hold->since +
            (manifest.hold->until == 0
                 ? ""
                 : " until " + iso8601(TimePoint(std::chrono::seconds(manifest.hold->until))));
    }
    for (const ExtraImage& extra : release.extra_images) {
        facts["extra image " + printable(extra.reference)] = or_unknown(extra.id);
    }
    for (const ManagedVolume& volume : manifest.volumes) {
        facts["volume " + volume.name] = printable(volume.path);
    }
    for (const auto& [name, value] : effective_settings(release.config, manifest.settings)) {
        facts["setting " + name] = printable(value);
    }
    for (const std::string& secret : manifest.secrets) {
        facts["secret " + secret] = "set";
    }
    return facts;
}

void tell_change(const Machine& machine, std::string words) {
    if (machine.changes != nullptr) {
        machine.changes->words.push_back(std::move(words));
    }
}

void tell_facts(const Machine& machine, const ServiceName& service, const Facts& before,
                const Facts& after) {
    if (machine.changes == nullptr || before == after) {
        return;
    }
    for (const auto& [name, value] : after) {
        const auto old = before.find(name);
        if (old == before.end()) {
            tell_change(machine, name + ": " + value + " (new)");
        } else if (old->second != value) {
            tell_change(machine, name + ": " + old->second + " -> " + value);
        }
    }
    for (const auto& [name, value] : before) {
        if (!after.contains(name)) {
            tell_change(machine, name + ": " + value + " (goes)");
        }
    }
    tell_text(*machine.changes, service.text(), text_of(before), text_of(after));
}

void tell_scripts(const Machine& machine, const ServiceName& service, const ImageFiles& before,
                  const ImageFiles& after) {
    if (machine.changes == nullptr) {
        return;
    }
    std::set<std::string> paths;
    for (const ImageFiles* files : {&before, &after}) {
        for (const auto& [path, file] : *files) {
            paths.insert(path);
        }
    }
    for (const std::string& path : paths) {
        const ImageFile* const old_file = find_file(before, path);
        const ImageFile* const new_file = find_file(after, path);
        const bool same = old_file != nullptr && new_file != nullptr &&
                          old_file->content == new_file->content &&
                          is_executable(path, *old_file) == is_executable(path, *new_file);
        if (is_generated(path) || same) {
            continue;
        }
        const std::string name = printable(path);
        tell_change(machine, "script '" + name + "' " +
                                 (old_file == nullptr   ? "is new"
                                  : new_file == nullptr ? "goes"
                                                        : "changes"));
        tell_text(*machine.changes, service.text() + "/drunner/" + name,
                  shown_script(path, old_file), shown_script(path, new_file));
    }
}

void tell_file(Changes& changes, const std::string& path, const std::string& text) {
    changes.words.push_back("file '" + printable(path) + "' is new");
    tell_text(changes, printable(path), "", shown_text(text));
}

std::string unified_text(const Changes& changes) {
    std::string text;
    for (const TextChange& change : changes.texts) {
        text += "--- " + change.before_header + "\n+++ " + change.after_header + "\n" +
                unified_diff(change.before, change.after);
    }
    return text;
}

}  // namespace drunner
