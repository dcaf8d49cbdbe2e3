#include "check/contract.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::string_view config_file = "servicecfg.sh";
constexpr std::string_view runner_file = "servicerunner";

const ImageFile* find_file(const ImageFacts& facts, std::string_view name) {
    if (!facts.files) {
        return nullptr;
    }
    const auto found = facts.files->find(std::string(name));
    return found == facts.files->end() ? nullptr : &found->second;
}

std::string linux_only(const ImageFacts& facts) {
    return facts.os.empty() || facts.os == "linux"
               ? std::string()
               : "the image is built for '" + printable(facts.os) + "', not for linux";
}

std::string user_set(const ImageFacts& facts) {
    return facts.user.empty() ? "the image runs as root: it sets no USER" : std::string();
}

std::string user_resolves(const ImageFacts& facts) {
    return facts.user.empty() ? std::string() : facts.user_problem;
}

std::string drunner_directory(const ImageFacts& facts) {
    return facts.files_problem;
}

std::string has_config(const ImageFacts& facts) {
    return facts.files && find_file(facts, config_file) == nullptr
               ? "the image has no /drunner/servicecfg.sh"
               : std::string();
}

std::string has_runner(const ImageFacts& facts) {
    return facts.files && find_file(facts, runner_file) == nullptr
               ? "the image has no /drunner/servicerunner"
               : std::string();
}

std::string runner_not_empty(const ImageFacts& facts) {
    const ImageFile* runner = find_file(facts, runner_file);
    return runner != nullptr && runner->content.empty() ? "/drunner/servicerunner is empty"
                                                        : std::string();
}

std::string runner_has_shebang(const ImageFacts& facts) {
    const ImageFile* runner = find_file(facts, runner_file);
    return runner == nullptr || runner->content.empty() || runner->content.starts_with("#!")
               ? std::string()
               : "/drunner/servicerunner does not begin with '#!'";
}

std::string runner_has_unix_lines(const ImageFacts& facts) {
    const ImageFile* runner = find_file(facts, runner_file);
    if (runner == nullptr || !runner->content.starts_with("#!")) {
        return {};
    }
    const std::string first = runner->content.substr(0, runner->content.find('\n'));
    return first.ends_with('\r') ? "the first line of /drunner/servicerunner ends with a carriage "
                                   "return, so that no interpreter is found"
                                 : std::string();
}

std::string config_reads(const ImageFacts& facts) {
    return find_file(facts, config_file) == nullptr ? std::string() : facts.config_problem;
}

std::string replaced_files(const ImageFacts& facts) {
    for (const std::string_view name : {"variables.sh", "utils.sh"}) {
        if (find_file(facts, name) != nullptr) {
            return "/drunner/" + std::string(name) + " is replaced by the generated one";
        }
    }
    return {};
}

}  // namespace

const std::vector<Rule>& contract_rules() {
    static const std::vector<Rule> rules{
        {"platform", Severity::error, "another system's programs do not run here",
         "build the image for linux", linux_only, ""},
        {"user-not-root", Severity::error, "a service's containers must not run as root",
         "add a USER with a uid other than 0 to the Dockerfile", user_set, ""},
        {"user-resolves", Severity::error, "volumes are owned by the image's user",
         "create the user in the image, or give USER as a number", user_resolves, ""},
        {"drunner-directory", Severity::error, "drunner runs what the image carries in /drunner",
         "COPY drunner /drunner, with plain files and directories only", drunner_directory, ""},
        {"servicecfg-present", Severity::error, "it declares the service's volumes",
         "add servicecfg.sh with VOLUMES=() and EXTRACONTAINERS=()", has_config, config_file},
        {"servicerunner-present", Severity::error, "it is what drunner calls",
         "add servicerunner, see 'drunner help new'", has_runner, runner_file},
        {"servicerunner-not-empty", Severity::error, "an empty script answers 0 to everything",
         "write the subcommands", runner_not_empty, runner_file},
        {"servicerunner-shebang", Severity::error, "the kernel runs it by its first line",
         "begin it with #!/bin/bash", runner_has_shebang, runner_file},
        {"servicerunner-line-ends", Severity::error, "the kernel would look for 'bash\\r'",
         "save it with Unix line ends", runner_has_unix_lines, runner_file},
        {"servicecfg-valid", Severity::error, "volumes must be known before anything runs",
         "write plain assignments: VOLUMES=(\"/data\")", config_reads, config_file},
        {"generated-names", Severity::warning, "variables.sh and utils.sh are written by drunner",
         "choose another name", replaced_files, ""},
    };
    return rules;
}

std::vector<Finding> check_contract(const ImageFacts& facts) {
    std::vector<Finding> findings;
    for (const Rule& rule : contract_rules()) {
        if (std::string message = rule.check(facts); !message.empty()) {
            findings.push_back(
                {rule.id, rule.severity, std::move(message), std::string(rule.file), 0, rule.fix});
        }
    }
    return findings;
}

}  // namespace drunner
