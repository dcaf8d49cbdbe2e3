#include "service/service_config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/image_reference.hpp"
#include "core/text.hpp"
#include "service/generated_files.hpp"
#include "service/secrets.hpp"
#include "service/shell_assignments.hpp"

namespace drunner {
namespace {

constexpr std::size_t most_volumes = 64;
constexpr std::size_t longest_volume_name = 255;
constexpr std::string_view file_name = "servicecfg.sh";

// What drunner reads of the file; everything else in it is the service's own.
constexpr std::array known_names{"VOLUMES", "EXTRACONTAINERS", "VERSION",
                                 "HOOKS",   "SELFTEST",        "SETTINGS",
                                 "AFTER",   "BACKUP_EXCLUDE",  "SECRETS"};

// Between these marks the evaluation prints, each ended by NUL, for every known name: the name, how
// many words it has, the words. A plain variable counts as an array of one.
constexpr std::string_view first_mark = "drunner-servicecfg-begin";
constexpr std::string_view last_mark = "drunner-servicecfg-end";

Error refused(const std::string& message) {
    return Error(ErrorKind::image_refused, std::string(file_name) + ": " + message,
                 "drunner checkimage IMAGE");
}

std::vector<std::string> words_of(const ShellValues& values, std::string_view name) {
    const auto found = values.find(name);
    // VOLUMES="" means none, as it does in a script that loops over the words.
    if (found == values.end() || found->second.words == std::vector<std::string>{""}) {
        return {};
    }
    return found->second.words;
}

std::string word_of(const ShellValues& values, std::string_view name) {
    const std::vector<std::string> words = words_of(values, name);
    if (words.size() > 1) {
        throw refused(std::string(name) + " is an array where one value is meant");
    }
    return words.empty() ? std::string() : words.front();
}

bool yes_or_no(std::string_view name, std::string word) {
    std::transform(word.begin(), word.end(), word.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (word == "yes" || word == "true" || word == "1") {
        return true;
    }
    if (word.empty() || word == "no" || word == "false" || word == "0") {
        return false;
    }
    throw refused(std::string(name) + " is '" + printable(word) + "', where yes or no is meant");
}

bool is_required(std::string_view array, const std::string& name, const std::string& word) {
    if (word != "required" && !word.empty()) {
        throw refused(std::string(array) + " has '" + printable(word) +
                      "' as the second field of '" + printable(name) +
                      "', where 'required' or nothing is meant");
    }
    return !word.empty();
}

SecretDeclaration secret_of(const std::string& text) {
    const std::vector<std::string> fields = split(text, '|');
    if (fields.size() != 3 && (fields.size() != 4 || fields[3] != "check")) {
        throw refused("SECRETS has '" + printable(text) +
                      "', where NAME|required|text or NAME|required|text|check is meant");
    }
    return {fields[0], is_required("SECRETS", fields[0], fields[1]), fields[2], fields.size() == 4};
}

SettingDeclaration setting_of(const std::string& text) {
    const std::vector<std::string> fields = split(text, '|');
    if (fields.size() != 4 && fields.size() != 5) {
        throw refused("SETTINGS has '" + printable(text) +
                      "', where NAME|required|default|text or NAME|required|default|text|type is "
                      "meant");
    }
    SettingDeclaration setting{fields[0], is_required("SETTINGS", fields[0], fields[1]), fields[2],
                               fields[3]};
    if (fields.size() == 5) {
        setting.type = fields[4];
    }
    return setting;
}

ServiceConfig config_of(const ShellValues& values) {
    ServiceConfig config;
    config.volumes = words_of(values, "VOLUMES");
    config.extra_containers = words_of(values, "EXTRACONTAINERS");
    config.hooks = words_of(values, "HOOKS");
    config.after = words_of(values, "AFTER");
    config.backup_exclude = words_of(values, "BACKUP_EXCLUDE");
    config.selftest = yes_or_no("SELFTEST", word_of(values, "SELFTEST"));
    if (const std::string version = word_of(values, "VERSION"); !version.empty()) {
        if (version != "1" && version != "2") {
            throw refused("VERSION is '" + printable(version) + "', where 1 or 2 is meant");
        }
        config.version = version == "1" ? 1 : 2;
    }
    for (const std::string& text : words_of(values, "SETTINGS")) {
        config.settings.push_back(setting_of(text));
    }
    for (const std::string& text : words_of(values, "SECRETS")) {
        config.secrets.push_back(secret_of(text));
    }
    check_service_config(config);
    return config;
}

std::string mangled(std::string_view path) {
    std::string result;
    std::copy_if(path.begin(), path.end(), std::back_inserter(result), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    });
    return result;
}

// Everything that goes into files, labels and messages is text that cannot steer anything.
void check_text(std::string_view name, const std::string& text) {
    if (printable(text) != text) {
        throw refused(std::string(name) + " has '" + printable(text) +
                      "', with control characters or bytes that are not UTF-8");
    }
}

void check_volume_path(const std::string& path) {
    const auto bad = [&](const std::string& why) {
        return refused("VOLUMES has '" + printable(path) + "', " + why);
    };
    check_text("VOLUMES", path);
    if (path.empty() || path.front() != '/') {
        throw bad("which is not an absolute path");
    }
    if (path == "/") {
        throw bad("the container's root, which cannot be a volume");
    }
    const std::vector<std::string> parts = split(std::string_view(path).substr(1), '/');
    if (std::find(parts.begin(), parts.end(), "..") != parts.end()) {
        throw bad("with '..' in it");
    }
    if (std::any_of(parts.begin(), parts.end(),
                    [](const std::string& part) { return part.empty() || part == "."; })) {
        throw bad("which is not normalised: it has an empty part or '.' in it");
    }
    // The engine takes NAME:PATH:OPTIONS, in which a colon of the path ends it.
    if (path.find(':') != std::string::npos) {
        throw bad("with ':' in it, which the engine cannot mount");
    }
    if (mangled(path).empty()) {
        throw bad("without a letter or digit to name its volume by");
    }
}

void check_volumes(const std::vector<std::string>& volumes) {
    if (volumes.size() > most_volumes) {
        throw refused("VOLUMES has " + std::to_string(volumes.size()) + " paths, at most " +
                      std::to_string(most_volumes) + " are possible");
    }
    std::map<std::string, std::string> by_name;
    for (const std::string& path : volumes) {
        check_volume_path(path);
        const auto [other, is_new] = by_name.emplace(mangled(path), path);
        if (is_new) {
            continue;
        }
        if (other->second == path) {
            throw refused("VOLUMES has '" + path + "' twice");
        }
        throw refused("VOLUMES has '" + other->second + "' and '" + path +
                      "', whose volumes would have the same name '..." + mangled(path) + "'");
    }
}

// Names that variables.sh or bash itself gives a meaning, so that no setting can have them.
bool is_taken_name(std::string_view name) {
    constexpr std::array taken{"VOLUMES",     "DOCKERVOLS",
                               "DOCKEROPTS",  "EXTRACONTAINERS",
                               "SERVICENAME", "IMAGENAME",
                               "IMAGEREF",    "IMAGEID",
                               "INSTALLTIME", "HOSTIP",
                               "PASS",        "SERVICETEMPDIR",
                               "PATH",        "IFS",
                               "ENV",         "HOME",
                               "UID",         "EUID",
                               "PPID",        "SHELLOPTS",
                               "BASHOPTS",    "BASH_VERSINFO",
                               "BASH_ENV",    "CODE_S",
                               "CODE_E",      "ECODE",
                               "IMAGEUSER",   "SECRETSDIR",
                               "SECRETOPTS",  "_"};
    constexpr std::array taken_beginnings{"DRUNNER_", "DOCKER_", "LD_"};
    return std::find(taken.begin(), taken.end(), name) != taken.end() ||
           std::any_of(taken_beginnings.begin(), taken_beginnings.end(),
                       [&](std::string_view beginning) {
                           return name.substr(0, beginning.size()) == beginning;
                       });
}

void check_settings(const std::vector<SettingDeclaration>& settings) {
    constexpr std::array types{"string", "int", "bool", "port", "path", "url"};
    std::set<std::string> names;
    for (const SettingDeclaration& setting : settings) {
        const std::string shown = "SETTINGS has '" + printable(setting.name) + "'";
        if (!is_shell_variable(setting.name)) {
            throw refused(shown + ", which is not a variable's name");
        }
        if (is_taken_name(setting.name)) {
            throw refused(shown + ", a name that has a meaning already");
        }
        if (!names.insert(setting.name).second) {
            throw refused(shown + " twice");
        }
        if (std::find(types.begin(), types.end(), setting.type) == types.end()) {
            throw refused(shown + " with the type '" + printable(setting.type) +
                          "', where string, int, bool, port, path or url is meant");
        }
        check_text("SETTINGS", setting.default_value);
        check_text("SETTINGS", setting.text);
    }
}

void check_declared_secrets(const std::vector<SecretDeclaration>& secrets) {
    if (secrets.size() > most_secrets) {
        throw refused("SECRETS has " + std::to_string(secrets.size()) + " names, at most " +
                      std::to_string(most_secrets) + " are possible");
    }
    std::set<std::string> names;
    for (const SecretDeclaration& secret : secrets) {
        if (!is_secret_name(secret.name)) {
            throw refused("SECRETS has '" + printable(secret.name) +
                          "', which is no secret's name");
        }
        if (!names.insert(secret.name).second) {
            throw refused("SECRETS has '" + secret.name + "' twice");
        }
        check_text("SECRETS", secret.text);
    }
}

}  // namespace

ParsedConfig parse_service_config(std::string_view text) {
    ParsedConfig parsed;
    try {
        parsed.config = config_of(parse_shell_assignments(text));
    } catch (const NeedsBash& stop) {
        parsed.bash_line = stop.line;
        parsed.bash_text = stop.text;
    } catch (const MalformedShell& stop) {
        throw refused("line " + std::to_string(stop.line) + ": " + stop.why);
    }
    return parsed;
}

std::string evaluation_script(std::string_view path) {
    std::string names;
    std::string report;
    for (const std::string name : known_names) {
        names += " " + name;
        report +=
            "builtin printf '%s\\0' " + name + " \"${#" + name + "[@]}\" \"${" + name + "[@]}\"\n";
    }
    // The image's own environment (ENV VERSION=...) declares nothing. What the file itself prints
    // does not get in between the marks.
    return "unset" + names + "\nexec 3>&1 >&2\nsource " + bash_quote(path) +
           "\nbuiltin set +eu\nexec >&3\nbuiltin printf '%s\\0' '' " + std::string(first_mark) +
           "\n" + report + "builtin printf '%s\\0' " + std::string(last_mark) + "\n";
}

ServiceConfig parse_evaluated_config(std::string_view output) {
    const Error unreadable = refused("bash in the image did not read it to its end");
    const std::string mark = std::string(1, '\0') + std::string(first_mark) + std::string(1, '\0');
    const std::size_t begin = output.rfind(mark);
    if (begin == std::string_view::npos) {
        throw unreadable;
    }
    output.remove_prefix(begin + mark.size());
    const auto next_word = [&] {
        const std::size_t end = output.find('\0');
        if (end == std::string_view::npos) {
            throw unreadable;
        }
        std::string word(output.substr(0, end));
        output.remove_prefix(end + 1);
        return word;
    };
    ShellValues values;
    while (true) {
        const std::string name = next_word();
        if (name == last_mark) {
            return config_of(values);
        }
        const std::string count_text = next_word();
        std::size_t count = 0;
        const char* end = count_text.data() + count_text.size();
        if (std::from_chars(count_text.data(), end, count).ptr != end || count > output.size()) {
            throw unreadable;
        }
        ShellValue value{true, {}};
        for (std::size_t i = 0; i < count; ++i) {
            value.words.push_back(next_word());
        }
        if (count > 0) {
            values.insert_or_assign(name, std::move(value));
        }
    }
}

void check_service_config(const ServiceConfig& config) {
    check_volumes(config.volumes);
    for (const std::string& reference : config.extra_containers) {
        check_text("EXTRACONTAINERS", reference);
        try {
            const ImageReference checked(reference);
        } catch (const Error& error) {
            throw refused(std::string("EXTRACONTAINERS: ") + error.what());
        }
    }
    if (config.version != 1 && config.version != 2) {
        throw refused("VERSION is " + std::to_string(config.version) + ", where 1 or 2 is meant");
    }
    for (const std::string& hook : config.hooks) {
        check_text("HOOKS", hook);
    }
    check_settings(config.settings);
    check_declared_secrets(config.secrets);
    for (const std::string& service : config.after) {
        if (!ServiceName::is_valid(service)) {
            throw refused("AFTER has '" + printable(service) + "', which is no service's name");
        }
    }
    for (const std::string& pattern : config.backup_exclude) {
        check_text("BACKUP_EXCLUDE", pattern);
        if (pattern.empty()) {
            throw refused("BACKUP_EXCLUDE has an empty pattern");
        }
    }
}

std::string volume_name(const ServiceName& service, std::string_view path) {
    std::string name = "drunner-" + service.text() + "-" + mangled(path);
    if (name.size() > longest_volume_name) {
        throw Error(ErrorKind::image_refused,
                    "the volume of '" + printable(path) + "' would have a name of " +
                        std::to_string(name.size()) + " bytes, at most " +
                        std::to_string(longest_volume_name) + " are possible");
    }
    return name;
}

}  // namespace drunner
