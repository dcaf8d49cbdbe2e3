#include "service/generated_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "service/secrets.hpp"
#include "service/settings.hpp"
#include "service/templates.hpp"

namespace drunner {
namespace {

bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c >= ' ' && c <= '~' &&
               std::string_view("\"$`\\!").find(c) == std::string_view::npos;
    });
}

std::string bash_array(const std::vector<std::string>& words) {
    std::string text = "(";
    for (const std::string& word : words) {
        if (text.size() > 1) {
            text += ' ';
        }
        text += bash_quote(word);
    }
    return text + ")";
}

std::string assignment(std::string_view name, std::string_view value) {
    return fmt::format("{}={}\n", name, bash_quote(value));
}

std::string assignment(std::string_view name, const std::vector<std::string>& words) {
    return fmt::format("{}={}\n", name, bash_array(words));
}

std::string volume_of(const Manifest& manifest, const std::string& path) {
    const auto found =
        std::find_if(manifest.volumes.begin(), manifest.volumes.end(),
                     [&](const ManagedVolume& volume) { return volume.path == path; });
    return found == manifest.volumes.end() ? volume_name(manifest.name, path) : found->name;
}

}  // namespace

std::string bash_quote(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        throw Error(ErrorKind::usage, "a value with a NUL byte cannot be given to a script");
    }
    if (is_plain(text)) {
        return fmt::format("\"{}\"", text);
    }
    // Other bytes than ASCII as numbers: what they mean depends on the locale of the reader.
    std::string quoted = "$'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (c == '\n') {
            quoted += "\\n";
        } else if (c >= ' ' && c <= '~') {
            quoted += c;
        } else {
            quoted += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
        }
    }
    return quoted + "'";
}

std::string variables_sh(const VariablesInput& input) {
    const Manifest& manifest = input.manifest;
    const Release& release = input.release;
    std::vector<std::string> volumes;
    std::vector<std::string> options;
    for (const std::string& path : release.config.volumes) {
        volumes.push_back(volume_of(manifest, path));
        options.insert(options.end(), {"-v", volumes.back() + ":" + path + ":nocopy"});
    }
    options.insert(options.end(),
                   {"--label", fmt::format("{}={}", label::service, manifest.name.text())});
    std::string text =
        "# Written by drunner at every install and update; changes here are lost.\n"
        "# shellcheck shell=bash disable=SC2034\n";
    text += assignment("VOLUMES", release.config.volumes);
    text += assignment("DOCKERVOLS", volumes);
    text += assignment("DOCKEROPTS", options);
    text += assignment("EXTRACONTAINERS", release.config.extra_containers);
    text += assignment("SERVICENAME", manifest.name.text());
    text += assignment("IMAGENAME", pinned_image(manifest.name, release.number));
    text += assignment("IMAGEREF", release.reference);
    text += assignment("IMAGEID", release.image_id);
    text += assignment("IMAGEUSER", fmt::format("{}:{}", release.uid, release.gid));
    text += assignment("INSTALLTIME", release.installed_at);
    text += assignment("HOSTIP", input.host_address);
    text += assignment("SERVICETEMPDIR", input.temp_directory);
    text += assignment("SECRETSDIR", input.secrets_directory);
    text += assignment("REQUIREDSECRETS", required_secrets(manifest, release));
    if (!release.config.settings.empty()) {
        std::vector<std::string> required;
        for (const SettingDeclaration& declared : release.config.settings) {
            if (declared.required) {
                required.push_back(declared.name);
            }
        }
        text += assignment("REQUIREDSETTINGS", required);
    }
    // A script under `nounset` can rely on every setting it declared.
    for (const auto& [name, value] : effective_settings(release.config, manifest.settings)) {
        text += assignment(name, value);
    }
    return text;
}

std::string imagename_sh(const Manifest& manifest, const Release& release) {
    return assignment("IMAGENAME", pinned_image(manifest.name, release.number)) +
           assignment("IMAGEREF", release.reference);
}

std::string utils_sh() {
    return template_file("utils.sh");
}

}  // namespace drunner
