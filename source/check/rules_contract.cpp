#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;

constexpr const char* config_file = "servicecfg.sh";
constexpr const char* runner_file = "servicerunner";

Founds linux_only(const Subject& subject) {
    const std::string& os = subject.facts.os;
    if (os.empty() || os == "linux") {
        return {};
    }
    return {{"the image is built for '" + printable(os) + "', not for linux", "", 0}};
}

Founds user_set(const Subject& subject) {
    if (!subject.facts.user.empty()) {
        return {};
    }
    return {{"the image runs as root: it sets no USER", "", 0}};
}

Founds user_resolves(const Subject& subject) {
    if (subject.facts.user.empty() || subject.facts.user_problem.empty()) {
        return {};
    }
    return {{subject.facts.user_problem, "", 0}};
}

Founds drunner_directory(const Subject& subject) {
    if (subject.facts.files_problem.empty()) {
        return {};
    }
    return {{subject.facts.files_problem, "", 0}};
}

Founds present(const Subject& subject, const char* name) {
    if (!subject.facts.files || subject.find_file(name) != nullptr) {
        return {};
    }
    return {{std::string("the image has no /drunner/") + name, name, 0}};
}

Founds runner_not_empty(const Subject& subject) {
    const ImageFile* runner = subject.find_file(runner_file);
    if (runner == nullptr || !runner->content.empty()) {
        return {};
    }
    return {{"/drunner/servicerunner is empty", runner_file, 0}};
}

Founds runner_has_shebang(const Subject& subject) {
    const ImageFile* runner = subject.find_file(runner_file);
    if (runner == nullptr || runner->content.empty() || runner->content.starts_with("#!")) {
        return {};
    }
    return {{"/drunner/servicerunner does not begin with '#!'", runner_file, 1}};
}

Founds runner_has_unix_lines(const Subject& subject) {
    const ImageFile* runner = subject.find_file(runner_file);
    if (runner == nullptr || !runner->content.starts_with("#!") ||
        !runner->content.substr(0, runner->content.find('\n')).ends_with('\r')) {
        return {};
    }
    return {
        {"the first line of /drunner/servicerunner ends with a carriage return, so that no "
         "interpreter is found",
         runner_file, 1}};
}

Founds config_reads(const Subject& subject) {
    if (subject.find_file(config_file) == nullptr || subject.facts.config_problem.empty()) {
        return {};
    }
    return {{subject.facts.config_problem, config_file, 0}};
}

Founds replaced_files(const Subject& subject) {
    Founds found;
    for (const char* name : {"variables.sh", "utils.sh"}) {
        if (subject.find_file(name) != nullptr) {
            found.push_back(
                {std::string("/drunner/") + name + " is replaced by the generated one", name, 0});
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> contract_rules() {
    using enum Severity;
    return {
        {"platform", 0, error, Needs::image, "the image is built for linux",
         "another system's programs do not run here", "build the image for linux", linux_only},
        {"user-not-root", 0, error, Needs::image, "the image sets a USER",
         "a service's containers must not run as root",
         "add a USER with a uid other than 0 to the Dockerfile", user_set},
        {"user-resolves", 0, error, Needs::image, "USER is an account of the image, and not root",
         "volumes are owned by the image's user",
         "create the user in the image, or give USER as a number", user_resolves},
        {"drunner-directory", 0, error, Needs::nothing,
         "/drunner holds plain files and directories only",
         "drunner runs what the image carries in /drunner",
         "COPY drunner /drunner, with plain files and directories only", drunner_directory},
        {"servicecfg-present", 0, error, Needs::files, "there is a servicecfg.sh",
         "it declares the service's volumes",
         "add servicecfg.sh with VOLUMES=() and EXTRACONTAINERS=()",
         [](const Subject& subject) { return present(subject, config_file); }},
        {"servicerunner-present", 0, error, Needs::files, "there is a servicerunner",
         "it is what drunner calls", "add servicerunner, see 'drunner help new'",
         [](const Subject& subject) { return present(subject, runner_file); }},
        {"servicerunner-not-empty", 0, error, Needs::files, "servicerunner is not empty",
         "an empty script answers 0 to everything", "write the subcommands", runner_not_empty},
        {"servicerunner-shebang", 0, error, Needs::files, "servicerunner begins with '#!'",
         "the kernel runs it by its first line", "begin it with #!/bin/bash", runner_has_shebang},
        {"servicerunner-line-ends", 0, error, Needs::files,
         "the first line of servicerunner ends as on Unix", "the kernel would look for 'bash\\r'",
         "save it with Unix line ends", runner_has_unix_lines},
        {"servicecfg-valid", 0, error, Needs::files, "servicecfg.sh can be read, within the limits",
         "volumes must be known before anything runs",
         "write plain assignments: VOLUMES=(\"/data\")", config_reads},
        {"generated-names", 0, warning, Needs::files,
         "no file has the name of one that drunner writes",
         "variables.sh and utils.sh are written by drunner", "choose another name", replaced_files},
    };
}

}  // namespace drunner
