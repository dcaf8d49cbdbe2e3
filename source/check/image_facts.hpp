#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/image_files.hpp"
#include "service/image_user.hpp"
#include "service/service_config.hpp"

namespace drunner {

// What an image has at the path of a volume.
struct ImageDirectory {
    unsigned uid = 0;
    unsigned gid = 0;
    unsigned mode = 0;      // permission bits
    bool directory = true;  // something else stands there
    bool empty = true;
};

// An image of EXTRACONTAINERS, as the engine has it now.
struct ExtraImageFacts {
    std::string user;  // USER as written
};

// The release that the image would follow: of `--from`, or of an installed service.
struct EarlierFacts {
    std::string reference;
    ServiceConfig config;
    ImageUser user;
    std::string runner;  // the text of its servicerunner
};

// What another program (bash -n, shellcheck) says of a script.
struct ScriptRemark {
    enum class Weight { error, warning, note };

    std::string file;  // below /drunner
    int line = 0;      // 1-based, 0 where none
    Weight weight = Weight::error;
    std::string text;
};

// A directory that an image is built from.
struct ContextFacts {
    std::optional<std::string> dockerfile;
    std::set<std::string> names;  // in its top directory
};

// What is known of an image, read without starting it. Where something could not be read, the
// member is empty and `*_problem` says why, as a sentence.
struct ImageFacts {
    std::string reference;
    std::string os;
    std::string architecture;
    std::string user;  // USER as written
    std::optional<ImageUser> resolved_user;
    std::string user_problem;
    std::optional<ImageFiles> files;  // below /drunner
    std::string files_problem;
    std::optional<ServiceConfig> config;
    std::string config_problem;

    // What install does not need to know; only read for judge() (check/rules.hpp).
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> environment;  // "KEY=value"
    std::vector<std::string> volumes;      // of the image's own VOLUME
    std::map<std::string, std::string> labels;
    bool has_healthcheck = false;
    std::map<std::string, ImageDirectory> directories;  // by path of VOLUMES, where one is there
    std::set<std::string> shells;                       // /bin/sh and /bin/bash, where they are
    std::map<std::string, ExtraImageFacts> extra_images;
    std::optional<EarlierFacts> earlier;
    std::optional<std::vector<ScriptRemark>> syntax;  // of bash -n
    std::string syntax_problem;
    std::optional<std::vector<ScriptRemark>> lint;  // of shellcheck
    std::string lint_problem;
    // Set for a build context: then nothing is known of the image itself.
    std::optional<ContextFacts> context;
};

}  // namespace drunner
