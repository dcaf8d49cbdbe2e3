#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"

namespace drunner {

// One declared setting: `NAME|required|default|text`, the second field `required` or empty, with an
// optional type as the fifth (string int bool port path url).
struct SettingDeclaration {
    std::string name;
    bool required = false;
    std::string default_value;
    std::string text;
    std::string type = "string";

    bool operator==(const SettingDeclaration&) const = default;
};

// One declared secret: `NAME|required|text`, the second field `required` or empty, with an optional
// `check` as the fourth: a content for it is shown to the scripts before it is taken.
struct SecretDeclaration {
    std::string name;
    bool required = false;
    std::string text;
    bool check = false;

    bool operator==(const SecretDeclaration&) const = default;
};

// What servicecfg.sh declares. Order is the file's.
struct ServiceConfig {
    std::vector<std::string> volumes;  // absolute container paths
    std::vector<std::string> extra_containers;
    int version = 1;
    std::vector<std::string> hooks;
    bool selftest = false;
    std::vector<SettingDeclaration> settings;
    std::vector<std::string> after;           // AFTER: services that come first
    std::vector<std::string> backup_exclude;  // BACKUP_EXCLUDE: patterns below the volumes
    std::vector<SecretDeclaration> secrets;

    bool operator==(const ServiceConfig&) const = default;
};

// What reading the text alone gave: a config, or the first line that needs bash.
struct ParsedConfig {
    std::optional<ServiceConfig> config;
    int bash_line = 0;      // 1-based, set where config is empty
    std::string bash_text;  // that line
};

// Parses servicecfg.sh as data: blank lines, comments (also after a value), a shebang, CRLF and a
// BOM, plain assignments, array literals on one or several lines, bare, single- and double-quoted
// words. Unknown assignments are ignored. Nothing is executed. Throws Error(image_refused) naming
// the line where the text is malformed in every shell, or a value breaks a limit
// (check_service_config).
ParsedConfig parse_service_config(std::string_view text);

// The bash program that prints, in a throw-away container, what parse_evaluated_config reads.
// `path` is where servicecfg.sh lies there.
std::string evaluation_script(std::string_view path);
ServiceConfig parse_evaluated_config(std::string_view output);

// The contract's limits: at most 64 volumes; paths absolute, normalised, without "..", control
// characters and not "/"; unique, and unique and not empty after mangling. VERSION 1 or 2. Throws
// Error(image_refused).
void check_service_config(const ServiceConfig& config);

// "drunner-" + service + "-" + the path without every character outside [A-Za-z0-9]. Throws
// Error(image_refused) where the name would be longer than 255 bytes.
std::string volume_name(const ServiceName& service, std::string_view path);

}  // namespace drunner
