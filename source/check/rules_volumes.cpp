#include <algorithm>
#include <array>
#include <set>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

constexpr const char* config_file = "servicecfg.sh";
constexpr unsigned world_write = 0002;
constexpr unsigned sticky = 01000;
// What is left of 255 for the path after "drunner-", the longest service name and "-".
constexpr std::size_t longest_everywhere = 255 - 8 - 63 - 1;

std::string mangled(std::string_view path) {
    std::string name;
    for (const char c : path) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
            name += c;
        }
    }
    return name;
}

// The line of servicecfg.sh where the text stands, 0 where it cannot be told.
int config_line(const Subject& subject, std::string_view text) {
    const ImageFile* file = subject.find_file(config_file);
    const std::size_t at = file == nullptr ? std::string::npos : file->content.find(text);
    return at == std::string::npos
               ? 0
               : 1 + static_cast<int>(
                         std::count(file->content.begin(),
                                    file->content.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

Found in_config(const Subject& subject, std::string message, std::string_view text) {
    return {std::move(message), config_file, config_line(subject, text)};
}

const std::vector<std::string>& volumes_of(const Subject& subject) {
    static const std::vector<std::string> none;
    return subject.facts.config ? subject.facts.config->volumes : none;
}

bool holds(const std::vector<std::string>& list, std::string_view one) {
    return std::find(list.begin(), list.end(), one) != list.end();
}

Founds image_volumes_declared(const Subject& subject) {
    Founds found;
    for (const std::string& path : subject.facts.volumes) {
        if (subject.facts.config && !holds(volumes_of(subject), path)) {
            found.push_back(
                in_config(subject, "the image's VOLUME '" + printable(path) + "' is not in VOLUMES",
                          "VOLUMES"));
        }
    }
    return found;
}

Founds directories_owned(const Subject& subject) {
    Founds found;
    for (const auto& [path, directory] : subject.facts.directories) {
        if (subject.facts.resolved_user && directory.uid != subject.facts.resolved_user->uid) {
            found.push_back(in_config(subject,
                                      "the image's '" + printable(path) + "' belongs to uid " +
                                          std::to_string(directory.uid) + ", not to USER",
                                      path));
        }
    }
    return found;
}

Founds directories_closed(const Subject& subject) {
    Founds found;
    for (const auto& [path, directory] : subject.facts.directories) {
        if ((directory.mode & world_write) != 0 && (directory.mode & sticky) == 0) {
            found.push_back(in_config(
                subject, "everybody can write the image's '" + printable(path) + "'", path));
        }
    }
    return found;
}

Founds directories_are(const Subject& subject) {
    Founds found;
    for (const auto& [path, directory] : subject.facts.directories) {
        if (!directory.directory) {
            found.push_back(
                in_config(subject, "the image's '" + printable(path) + "' is no directory", path));
        }
    }
    return found;
}

Founds directories_empty(const Subject& subject) {
    Founds found;
    for (const auto& [path, directory] : subject.facts.directories) {
        if (directory.directory && !directory.empty) {
            found.push_back(in_config(
                subject, "the image has files of its own in '" + printable(path) + "'", path));
        }
    }
    return found;
}

Founds not_nested(const Subject& subject) {
    Founds found;
    for (const std::string& outer : volumes_of(subject)) {
        for (const std::string& inner : volumes_of(subject)) {
            if (inner.starts_with(outer + "/")) {
                found.push_back(in_config(subject,
                                          "the volume '" + printable(inner) +
                                              "' lies inside of the volume '" + printable(outer) +
                                              "'",
                                          inner));
            }
        }
    }
    return found;
}

Founds not_over_the_system(const Subject& subject) {
    constexpr std::array<std::string_view, 17> system{
        "/bin", "/sbin", "/lib", "/lib64", "/usr",  "/usr/bin", "/usr/lib",   "/etc",    "/proc",
        "/sys", "/dev",  "/run", "/var",   "/boot", "/drunner", "/usr/local", "/var/run"};
    Founds found;
    for (const std::string& path : volumes_of(subject)) {
        if (std::find(system.begin(), system.end(), path) != system.end()) {
            found.push_back(in_config(
                subject, "the volume '" + printable(path) + "' hides the image's own files", path));
        }
    }
    return found;
}

Founds not_temporary(const Subject& subject) {
    Founds found;
    for (const std::string& path : volumes_of(subject)) {
        if (path == "/tmp" || path.starts_with("/tmp/") || path == "/var/tmp" ||
            path == "/var/cache" || path.starts_with("/var/cache/")) {
            found.push_back(
                in_config(subject, "'" + printable(path) + "' is kept and backed up", path));
        }
    }
    return found;
}

Founds short_names(const Subject& subject) {
    Founds found;
    for (const std::string& path : volumes_of(subject)) {
        if (mangled(path).size() > longest_everywhere) {
            found.push_back(in_config(subject,
                                      "the name of the volume '" + printable(path.substr(0, 60)) +
                                          "...' leaves no room for a long service name",
                                      path));
        }
    }
    return found;
}

Founds mounted_where_used(const Subject& subject) {
    if (volumes_of(subject).empty()) {
        return {};
    }
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!call.of_own_image() || call.mentions("DOCKEROPTS") || call.mentions("DOCKERVOLS") ||
            std::any_of(call.command->words.begin(), call.command->words.end(),
                        [](const ShellWord& word) {
                            return std::any_of(word.expansions.begin(), word.expansions.end(),
                                               [](const ShellExpansion& one) { return one.array; });
                        })) {
            return std::nullopt;
        }
        return "starts the image without DOCKEROPTS";
    });
}

Founds no_other_volumes(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (call.verb == "volume create") {
            return "makes a volume itself";
        }
        if (!call.starts_container()) {
            return std::nullopt;
        }
        for (const DockerCall::Mounted& one : call.mounts()) {
            if (!one.source.empty() && one.source[0] != '/' && one.source[0] != '.' &&
                one.source[0] != '~' && one.source[0] != '$') {
                return "mounts the volume '" + printable(one.source) + "', which is not in VOLUMES";
            }
        }
        return std::nullopt;
    });
}

Founds no_volume_names(const Subject& subject) {
    return subject.in_commands([](const ShellCommand& command) -> Message {
        for (const ShellWord& word : command.words) {
            if (word.value.starts_with("drunner-$") || word.value.starts_with("drunner-{") ||
                word.value.find("=drunner-$") != std::string::npos) {
                return "puts a volume's name together: '" + printable(word.value) + "'";
            }
        }
        return std::nullopt;
    });
}

Founds volumes_stay(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (call.verb == "volume rm" || (call.verb == "rm" && call.has("v", "volumes"))) {
            return "removes volumes: docker " + call.verb;
        }
        return std::nullopt;
    });
}

Founds none_left_out(const Subject& subject) {
    Founds found;
    for (const std::string& path : subject.facts.earlier->config.volumes) {
        if (subject.facts.config && !holds(volumes_of(subject), path)) {
            found.push_back(in_config(subject,
                                      "the volume '" + printable(path) + "' of '" +
                                          printable(subject.facts.earlier->reference) +
                                          "' is gone from VOLUMES",
                                      "VOLUMES"));
        }
    }
    return found;
}

Founds order_kept(const Subject& subject) {
    std::vector<std::string> before;
    std::vector<std::string> now;
    for (const std::string& path : subject.facts.earlier->config.volumes) {
        if (holds(volumes_of(subject), path)) {
            before.push_back(path);
        }
    }
    for (const std::string& path : volumes_of(subject)) {
        if (holds(before, path)) {
            now.push_back(path);
        }
    }
    // New ones in front of old ones move those, too.
    const bool moved =
        before != now || (!now.empty() && volumes_of(subject).front() != now.front());
    if (!moved) {
        return {};
    }
    return {in_config(
        subject,
        "VOLUMES has another order than in '" + printable(subject.facts.earlier->reference) + "'",
        "VOLUMES")};
}

Founds names_not_taken(const Subject& subject) {
    Founds found;
    const std::vector<std::string>& before = subject.facts.earlier->config.volumes;
    for (const std::string& path : volumes_of(subject)) {
        for (const std::string& old : before) {
            if (old != path && mangled(old) == mangled(path)) {
                found.push_back(in_config(subject,
                                          "the volume '" + printable(path) +
                                              "' has the name that '" + printable(old) + "' had",
                                          path));
            }
        }
    }
    return found;
}

Founds user_kept(const Subject& subject) {
    const unsigned before = subject.facts.earlier->user.uid;
    if (!subject.facts.resolved_user || subject.facts.resolved_user->uid == before) {
        return {};
    }
    return {{"USER had the uid " + std::to_string(before) + " in '" +
                 printable(subject.facts.earlier->reference) + "', now it is " +
                 std::to_string(subject.facts.resolved_user->uid),
             "", 0}};
}

}  // namespace

std::vector<Rule> volume_rules() {
    using enum Severity;
    return {
        {"image-volumes-declared", 3, error, Needs::image, "every VOLUME of the image is managed",
         "Docker gives each container a nameless volume there: what is written is gone with the "
         "container, and no backup has it",
         "add the path to VOLUMES, or take VOLUME out of the Dockerfile", image_volumes_declared},
        {"directories-owned", 3, warning, Needs::image,
         "directories of volumes belong to USER in the image",
         "while a volume is empty, Docker gives it the owner of the image's directory at every "
         "mount: a volume of 22022 belonged to root after the first run",
         "RUN mkdir -p /data && chown 22022:22022 /data", directories_owned},
        {"directories-closed", 3, warning, Needs::image,
         "only their owner can write to directories of volumes",
         "volumes of mode 0777, as the last dRunner made them, are open to every uid on the host",
         "RUN chmod 0750 /data", directories_closed},
        {"directories-are", 3, error, Needs::image, "there is no file where a volume should be",
         "Docker refuses to mount a volume over a file: no container of the service starts",
         "remove the file, or take another path", directories_are},
        {"directories-empty", 3, warning, Needs::image, "the image keeps no files below volumes",
         "they are copied once, when the volume is made: files of a later release never arrive, "
         "and the old ones are taken for data",
         "keep them elsewhere, and let 'updateend' copy what is new", directories_empty},
        {"not-nested", 3, error, Needs::config, "no volume lies inside of another",
         "its data would be in two volumes, by order of mounting; two services with one path twice "
         "broke the backup of the last dRunner",
         "declare the outer one only", not_nested},
        {"not-over-the-system", 3, error, Needs::config, "no volume hides the image's system",
         "programs and accounts of the first release stay for ever: an update of the image changes "
         "nothing that is mounted over",
         "use a directory of the service: /data, /var/lib/NAME", not_over_the_system},
        {"not-temporary", 3, warning, Needs::config, "what is temporary is no volume",
         "backups of caches and temporary files fail half of the time, because files vanish while "
         "they are read",
         "take it out of VOLUMES, or add it to BACKUP_EXCLUDE", not_temporary},
        {"short-volume-names", 3, warning, Needs::config,
         "volume names leave room for the service's",
         "the install fails under a long service name, which is found by the operator only",
         "use a shorter path", short_names},
        {"volumes-mounted", 3, error, Needs::config, "containers of the image get their volumes",
         "without them the service writes into the container, and the next update removes it with "
         "all data",
         "docker run \"${DOCKEROPTS[@]}\" \"$IMAGENAME\", or dockerrun", mounted_where_used},
        {"no-other-volumes", 3, error, Needs::files, "scripts use no volumes but those of VOLUMES",
         "the tool does not know of them: they are in no backup, and stay after obliterate",
         "declare the path in VOLUMES and use DOCKEROPTS", no_other_volumes},
        {"no-volume-names", 3, warning, Needs::files, "scripts take volume names from DOCKERVOLS",
         "a name that is wrong by one character makes Docker create a new, empty volume: backups "
         "of 86 bytes, told as success",
         "use \"${DOCKERVOLS[0]}\"", no_volume_names},
        {"volumes-stay", 3, error, Needs::files, "scripts remove no volumes",
         "uninstall and update keep data; \"delete user data\", ticked by default, is the "
         "complaint "
         "about other tools",
         "leave it to obliterate", volumes_stay},
        {"none-left-out", 3, error, Needs::earlier, "no volume is dropped by the new release",
         "update keeps the volume, and nothing mounts, backs up or restores it any more: data that "
         "only seems to be there",
         "keep the path in VOLUMES, and move the data in 'updateend'", none_left_out},
        {"volume-order-kept", 3, error, Needs::earlier, "VOLUMES keeps its order",
         "backups of the 2016 tool map volumes by position, and scripts by DOCKERVOLS[0]: in "
         "another order the database's files come back as the web server's",
         "add new paths at the end", order_kept},
        {"volume-names-not-taken", 3, error, Needs::earlier,
         "no new path has the name of an old volume",
         "letters and digits make the name: /var/a-b after /var/ab adopts the other one's data",
         "choose another path", names_not_taken},
        {"user-kept", 3, warning, Needs::earlier, "USER keeps its uid",
         "existing volumes keep their owner: after the update the service cannot write its data",
         "go back to the old uid, or chown in 'updateend'", user_kept},
    };
}

}  // namespace drunner
