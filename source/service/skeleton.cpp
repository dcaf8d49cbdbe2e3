#include "service/skeleton.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"
#include "service/script_runner.hpp"
#include "service/service_config.hpp"
#include "service/templates.hpp"

namespace drunner {
namespace {

using Replacements = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view drill_port =
    "    # The scratch copy of a drill stands beside the service that has the port.\n"
    "    if [[ ${DRUNNER_OPERATION-} == drill ]]; then PORT=; fi\n";

// Every "@WORD@" of the template; a replacement is not looked at again.
std::string filled(const std::string& text, const Replacements& replacements) {
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        bool replaced = false;
        for (const auto& [mark, replacement] : replacements) {
            if (text.compare(at, mark.size(), mark) == 0) {
                result += replacement;
                at += mark.size();
                replaced = true;
                break;
            }
        }
        if (!replaced) {
            result += text[at++];
        }
    }
    return result;
}

Replacements replacements_of(const SkeletonRequest& request) {
    const std::string port = std::to_string(request.port);
    const bool listens = request.port != 0;
    Replacements all{
        {"@NAME@", request.name.text()},
        {"@BASE@", request.base.text()},
        {"@VOLUME@", request.volume},
        {"@VERSION@", std::to_string(request.version)},
        // Without a default: a second instance must find a port that is free.
        {"@SETTINGS@",
         listens ? "\"PORT|||where it listens on the host; empty: where it is free|port\"" : ""},
        {"@PUBLISH@", listens ? "-p \"${PORT:+$PORT:}" + port + "\" " : ""},
        {"@DRILL@", listens ? std::string(drill_port) : ""},
        {"@EXPOSE@", listens ? "EXPOSE " + port + "\n" : ""},
    };
    const std::pair<const char*, Hook> hooks[] = {
        {"@INSTALL@", Hook::install},       {"@UPDATE_START@", Hook::update_start},
        {"@UPDATE_END@", Hook::update_end}, {"@BACKUP_START@", Hook::backup_start},
        {"@BACKUP_END@", Hook::backup_end}, {"@RESTORE@", Hook::restore},
        {"@UNINSTALL@", Hook::uninstall},   {"@OBLITERATE@", Hook::obliterate},
    };
    for (const auto& [mark, hook] : hooks) {
        all.emplace_back(mark, hook_name(hook, request.version));
    }
    return all;
}

}  // namespace

std::map<std::string, SkeletonFile> make_skeleton(const SkeletonRequest& request) {
    if (request.volume.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789/._-") != std::string::npos) {
        throw Error(ErrorKind::usage,
                    "the volume '" + printable(request.volume) +
                        "' has other characters than "
                        "letters, digits and '/._-'",
                    "drunner help new");
    }
    ServiceConfig config;
    config.volumes = {request.volume};
    check_service_config(config);
    const Replacements replacements = replacements_of(request);
    std::map<std::string, SkeletonFile> files;
    for (const char* name :
         {"Dockerfile", "README.md", "drunner/servicecfg.sh", "drunner/servicerunner"}) {
        files[name] = {filled(template_file(std::string("service/") + name), replacements),
                       std::string_view(name).ends_with("servicerunner")};
    }
    return files;
}

}  // namespace drunner
