#include "operation/review.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

#include "archive/digest.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "core/unified_diff.hpp"
#include "host/clock.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/operations.hpp"
#include "operation/release_plan.hpp"
#include "service/script_acceptance.hpp"

namespace drunner {
namespace {

constexpr std::string_view runner = "servicerunner";

// A line for a reader who decides about root: besides what printable() shows, the characters that
// make text look like what it is not (Unicode's controls of direction, and those without width).
std::string shown_line(std::string_view line) {
    std::string shown;
    for (const std::string& part : split(line, '\t')) {
        shown += printable(part) + "\t";
    }
    shown.pop_back();
    for (const std::string_view hidden :
         {"\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d",
          "\u202e", "\u2060", "\u2066", "\u2067", "\u2068", "\u2069", "\ufeff"}) {
        for (std::size_t at = 0; (at = shown.find(hidden, at)) != std::string::npos;) {
            std::string escaped;
            for (const char c : hidden) {
                escaped += printable(std::string_view(&c, 1));
            }
            shown.replace(at, hidden.size(), escaped);
        }
    }
    return shown;
}

bool is_binary(const std::string& content) {
    return content.find('\0') != std::string::npos;
}

// One file, or the description of an image, that two releases may have. nullptr: has it not.
std::string one_diff(const std::string& path, const std::string* before, const std::string* after) {
    const std::string name = printable(path);
    const std::string old_hash = before == nullptr ? "-" : sha256_hex(as_bytes(*before));
    const std::string new_hash = after == nullptr ? "-" : sha256_hex(as_bytes(*after));
    if ((before != nullptr && is_binary(*before)) || (after != nullptr && is_binary(*after))) {
        return "binary " + name + ": sha256 " + old_hash + " -> " + new_hash + "\n";
    }
    return "--- " + (before == nullptr ? "/dev/null" : "a/" + name) + "\n+++ " +
           (after == nullptr ? "/dev/null" : "b/" + name) + "\n" +
           shown_text(unified_diff(before == nullptr ? std::string_view() : *before,
                                   after == nullptr ? std::string_view() : *after));
}

bool runs(const std::string& path, const ImageFile& file) {
    return file.executable || path == runner;
}

// What is known of an image beside its scripts, a line each.
struct ImageWords {
    std::string user;
    std::optional<ServiceConfig> config;  // empty: it needs bash
    std::optional<Image> image;           // empty: the engine has it no more
};

std::string words_of(const ImageWords& words) {
    std::string text = "user " + words.user + "\n";
    if (words.config) {
        for (const std::string& volume : words.config->volumes) {
            text += "volume " + volume + "\n";
        }
        for (const std::string& extra : words.config->extra_containers) {
            text += "extra image " + extra + "\n";
        }
    } else {
        text += "volumes and extra images: what bash makes of servicecfg.sh in the image\n";
    }
    if (!words.image) {
        return text + "ports and environment: unknown, the image is gone\n";
    }
    for (const std::string& port : words.image->exposed_ports) {
        text += "port " + port + "\n";
    }
    for (const std::string& variable : words.image->environment) {
        text += "environment " + shown_line(variable) + "\n";
    }
    text += "entrypoint " + shown_line(join(words.image->entrypoint, " ")) + "\n";
    return text + "command " + shown_line(join(words.image->command, " ")) + "\n";
}

std::string user_words(const std::string& user, const std::optional<ImageUser>& resolved) {
    return printable(user) + (resolved ? " (" + std::to_string(resolved->uid) + ":" +
                                             std::to_string(resolved->gid) + ")"
                                       : "");
}

// An update may find a newer image than the engine has now.
void tell_of_newer_image(Machine& machine, const Image& image, const ImageReference& reference) {
    const std::string digest = own_digest(image, reference);
    if (digest.empty()) {
        return;
    }
    const ManifestAnswer answer = machine.registry.resolve(reference);
    if (answer.verdict == ManifestAnswer::Verdict::found && answer.digest != digest) {
        machine.progress.warning("the registry has another '" + reference.text() +
                                 "', which is not compared: docker pull " + reference.text());
    }
}

bool is_in_force(const Machine& machine, const std::string& digest) {
    const Catalog catalog(machine.paths);
    const std::vector<ServiceName> names = catalog.names();
    return std::any_of(names.begin(), names.end(), [&](const ServiceName& name) {
        try {
            const std::optional<Manifest> manifest = catalog.find(name);
            return manifest && scripts_digest(manifest->release().script_hashes) == digest;
        } catch (const Error&) {
            return false;  // a broken installation vouches for nothing
        }
    });
}

bool is_accepted(const Machine& machine, const std::string& digest) {
    return is_in_force(machine, digest) || ScriptAcceptances(machine.paths).contains(digest);
}

void record(Machine& machine, const ServiceName& service, const std::string& digest,
            std::map<std::string, std::string> hashes) {
    ScriptAcceptances(machine.paths)
        .add({iso8601(machine.clock.now()), service.text(), digest, caller(), std::move(hashes)});
}

// The scripts that are in force under this name; none where nothing is installed, or is broken.
ImageFiles installed_files(const Machine& machine, const ServiceName& service) {
    try {
        const std::optional<Manifest> manifest = Catalog(machine.paths).find(service);
        return manifest ? release_files(machine, service, manifest->current) : ImageFiles();
    } catch (const Error&) {
        return {};
    }
}

}  // namespace

std::string shown_text(std::string_view text) {
    std::string shown;
    for (const std::string& line : split(text, '\n')) {
        shown += shown_line(line) + "\n";
    }
    shown.pop_back();
    return shown;
}

std::map<std::string, std::string> script_hashes(const ImageFiles& files) {
    std::map<std::string, std::string> hashes;
    for (const auto& [path, file] : files) {
        hashes[path] = sha256_hex(as_bytes(file.content));
    }
    return hashes;
}

ImageFiles release_files(const Machine& machine, const ServiceName& service, int release) {
    namespace fs = std::filesystem;
    const std::string scripts = machine.paths.release_scripts(service, release);
    ImageFiles files;
    if (!exists(scripts)) {
        return files;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(scripts)) {
        const std::string path = entry.path().lexically_relative(scripts).string();
        if (entry.symlink_status().type() != fs::file_type::regular || is_generated(path)) {
            continue;
        }
        const bool executable =
            (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
        files[path] = {read_file(entry.path().string()), executable};
    }
    return files;
}

std::string scripts_diff(const ImageFiles& before, const ImageFiles& after) {
    std::set<std::string> paths;
    for (const ImageFiles* files : {&before, &after}) {
        for (const auto& [path, file] : *files) {
            if (!is_generated(path)) {
                paths.insert(path);
            }
        }
    }
    std::string text;
    for (const std::string& path : paths) {
        const auto old_file = before.find(path);
        const auto new_file = after.find(path);
        const bool was = old_file != before.end();
        const bool is = new_file != after.end();
        if (was && is && runs(path, old_file->second) != runs(path, new_file->second)) {
            text +=
                printable(path) + (runs(path, new_file->second) ? ": is executable now\n"
                                                                : ": is not executable any more\n");
        }
        if (!was || !is || old_file->second.content != new_file->second.content) {
            text += one_diff(path, was ? &old_file->second.content : nullptr,
                             is ? &new_file->second.content : nullptr);
        }
    }
    return text;
}

void review_scripts(Machine& machine, const ServiceName& service, const ImageFiles& files,
                    std::string_view origin) {
    const bool is_pinned = machine.config.review == Review::pin || !machine.accept_scripts.empty();
    if (!is_pinned && machine.config.review == Review::off) {
        return;
    }
    const std::map<std::string, std::string> hashes = script_hashes(files);
    const std::string digest = scripts_digest(hashes);
    if (digest == machine.accept_scripts) {
        if (!machine.check && !ScriptAcceptances(machine.paths).contains(digest)) {
            record(machine, service, digest, hashes);
        }
        return;
    }
    if (is_accepted(machine, digest)) {
        return;
    }
    if (is_pinned) {
        const std::string what =
            "the scripts of '" + std::string(origin) + "' (sha256 " + digest + ") ";
        throw Error(
            ErrorKind::scripts_not_accepted,
            what + (machine.accept_scripts.empty() ? "would run as root, and nobody accepted them"
                                                   : "are not those that --accept-scripts accepts"),
            "drunner diff " + service.text() + " IMAGE, then drunner trust " + service.text() +
                " --sha256 " + digest);
    }
    machine.progress.note("these scripts of '" + std::string(origin) +
                          "' will run as root, sha256 " + digest + ":\n" +
                          scripts_diff(installed_files(machine, service), files));
}

ScriptDiff diff_image(Machine& machine, const ServiceName& name,
                      const std::optional<ImageReference>& wanted) {
    const std::optional<Manifest> manifest =
        wanted ? Catalog(machine.paths).find(name) : Catalog(machine.paths).load(name);
    const ImageReference reference =
        wanted ? *wanted : ImageReference(manifest->release().reference);
    const std::optional<Image> image = machine.engine.find_image(reference.engine_name());
    if (!image) {
        throw Error(
            ErrorKind::image_not_found,
            "image '" + reference.text() + "' is not on this engine, and diff pulls nothing",
            "docker pull " + reference.text());
    }
    if (!wanted && pull_policy_of(machine, manifest->pull) != PullPolicy::never) {
        tell_of_newer_image(machine, *image, reference);
    }
    const ImageFacts facts = read_image_files(machine, *image, reference.text());
    if (!facts.files) {
        throw Error(ErrorKind::image_refused,
                    "image '" + reference.text() + "' cannot be a service: " + facts.files_problem,
                    "drunner checkimage " + reference.text());
    }

    ScriptDiff diff;
    diff.reference = reference.text();
    diff.image_id = image->id;
    const std::map<std::string, std::string> hashes = script_hashes(*facts.files);
    diff.digest = scripts_digest(hashes);
    diff.accepted = is_accepted(machine, diff.digest);
    ImageFiles before;
    std::string words_before;
    if (manifest) {
        const Release& release = manifest->release();
        before = release_files(machine, name, manifest->current);
        words_before = words_of({user_words(release.user, ImageUser{release.uid, release.gid}),
                                 release.config, machine.engine.find_image(release.image_id)});
    }
    const auto config = facts.files->find("servicecfg.sh");
    ImageWords words{user_words(facts.user, facts.resolved_user), ServiceConfig(), image};
    if (config != facts.files->end()) {
        words.config = parse_service_config(config->second.content).config;
    }
    const std::string words_after = words_of(words);
    diff.image_changed = words_before != words_after;
    if (diff.image_changed) {
        diff.text = one_diff("(image)", manifest ? &words_before : nullptr, &words_after);
    }
    diff.text += scripts_diff(before, *facts.files);
    const std::map<std::string, std::string> hashes_before = script_hashes(before);
    for (const auto& [path, hash] : hashes) {
        const auto old = hashes_before.find(path);
        if (!is_generated(path) && (old == hashes_before.end() || old->second != hash)) {
            diff.scripts.push_back({path, old == hashes_before.end() ? "" : old->second, hash});
        }
    }
    for (const auto& [path, hash] : hashes_before) {
        if (!hashes.contains(path)) {
            diff.scripts.push_back({path, hash, ""});
        }
    }
    return diff;
}

Outcome trust(Machine& machine, const ServiceName& name, const std::vector<std::string>& digests) {
    const ScriptAcceptances acceptances(machine.paths);
    Outcome outcome = Outcome::unchanged;
    for (const std::string& digest : digests) {
        if (acceptances.contains(digest)) {
            continue;
        }
        tell_change(machine, "scripts with sha256 " + digest + " are accepted");
        if (!machine.check) {
            record(machine, name, digest, {});
        }
        outcome = Outcome::changed;
    }
    return outcome;
}

}  // namespace drunner
