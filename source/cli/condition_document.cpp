#include "cli/condition_document.hpp"

#include <nlohmann/json.hpp>

#include "service/script_acceptance.hpp"

namespace drunner {

std::string condition_document(std::string_view command, const ServiceCondition& condition) {
    using nlohmann::json;
    json problems = json::array();
    for (const Problem& problem : condition.problems) {
        problems.push_back({{"id", problem.id}, {"what", problem.what}, {"next", problem.next}});
    }
    json containers = json::array();
    bool running = false;
    for (const ContainerSummary& container : condition.containers) {
        running = running || container.state == "running";
        containers.push_back({{"id", container.id},
                              {"name", container.name},
                              {"image", container.image},
                              {"state", container.state},
                              {"status", container.status}});
    }
    json document{{"command", command},         {"service", condition.name.text()},
                  {"whole", condition.whole()}, {"running", running},
                  {"problems", problems},       {"containers", containers}};
    if (!condition.operation.empty()) {
        document["operation"] = condition.operation;
    }
    document["held"] = condition.hold.has_value();
    if (condition.hold) {
        document["hold"] = {{"since", condition.hold->since}, {"until", hold_end(*condition.hold)}};
    }
    if (condition.manifest) {
        document["reference"] = condition.manifest->release().reference;
        document["image_id"] = condition.manifest->release().image_id;
        document["image_digest"] = condition.manifest->release().image_digest;
        if (const auto& backup = condition.manifest->last_backup) {
            document["last_backup"] = {{"at", backup->at}, {"file", backup->file}};
        }
        if (const auto& drill = condition.manifest->last_drill) {
            document["last_drill"] = {{"at", drill->at},
                                      {"file", drill->file},
                                      {"passed", drill->passed},
                                      {"reason", drill->reason}};
        }
        if (command == "inspect") {
            document["scripts_sha256"] =
                scripts_digest(condition.manifest->release().script_hashes);
            document["manifest"] = json::parse(to_json(*condition.manifest));
        }
    }
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace drunner
