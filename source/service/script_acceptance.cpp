#include "service/script_acceptance.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "archive/digest.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {

using nlohmann::json;

bool is_generated(std::string_view path) {
    return path == "variables.sh" || path == "utils.sh";
}

std::string scripts_digest(const std::map<std::string, std::string>& hashes) {
    std::string text;
    for (const auto& [path, hash] : hashes) {
        if (is_generated(path)) {
            continue;
        }
        // sha256sum marks a line whose name has a backslash by one in front, and doubles those.
        std::string name;
        for (const char c : path) {
            name += c == '\\' ? "\\\\" : std::string(1, c);
        }
        text += (name == path ? "" : "\\") + hash + "  " + name + "\n";
    }
    return sha256_hex(as_bytes(text));
}

std::vector<ScriptAcceptance> ScriptAcceptances::all() const {
    std::vector<ScriptAcceptance> acceptances;
    if (!exists(file_)) {
        return acceptances;
    }
    for (const std::string& line : split(read_file(file_), '\n')) {
        const json row = json::parse(line, nullptr, false);
        if (!row.is_object()) {
            continue;
        }
        try {
            acceptances.push_back({row.at("at"),
                                   row.at("service"),
                                   row.at("sha256"),
                                   {row.at("uid"), row.at("sudo_user")},
                                   row.at("files")});
        } catch (const json::exception&) {
            continue;
        }
    }
    return acceptances;
}

bool ScriptAcceptances::contains(std::string_view digest) const {
    const std::vector<ScriptAcceptance> acceptances = all();
    return std::any_of(acceptances.begin(), acceptances.end(),
                       [&](const ScriptAcceptance& one) { return one.digest == digest; });
}

void ScriptAcceptances::add(const ScriptAcceptance& acceptance) const {
    const json row{{"at", acceptance.at},
                   {"service", acceptance.service},
                   {"sha256", acceptance.digest},
                   {"uid", acceptance.caller.uid},
                   {"sudo_user", acceptance.caller.sudo_user},
                   {"files", acceptance.hashes}};
    make_directories(parent_of(file_));
    append_line(file_, row.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace drunner
