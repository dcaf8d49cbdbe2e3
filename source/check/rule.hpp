#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/image_facts.hpp"

namespace drunner {

class Subject;

// error: the image does not reach the rule's level. warning and note are told, and no more.
enum class Severity { error, warning, note };

std::string_view severity_word(Severity severity);

// What a rule must know; without it the rule is not judged.
enum class Needs {
    nothing,
    files,         // /drunner
    config,        // servicecfg.sh could be read
    runner,        // servicerunner is a shell script
    image,         // the image itself, not only what it is built from
    context,       // what it is built from
    extra_images,  // an image of EXTRACONTAINERS on this engine
    earlier,       // the release before
    syntax,        // bash -n
    lint,          // shellcheck
};

// One place that breaks a rule.
struct Found {
    std::string message;  // printable
    std::string file;     // below /drunner, or "Dockerfile"; empty where none
    int line = 0;         // 1-based, 0 where none
};

struct Rule {
    std::string_view id;  // stable
    int level;
    Severity severity;
    Needs needs;
    std::string_view title;  // what holds where the rule is kept
    std::string_view why;    // the failure that it prevents
    std::string_view fix;    // what to do
    std::vector<Found> (*check)(const Subject& subject);
};

struct Finding {
    std::string_view rule;  // stable id
    int level = 0;
    Severity severity = Severity::error;
    std::string message;   // what was found
    std::string file;      // below /drunner, or "Dockerfile"; empty where none
    int line = 0;          // 1-based, 0 where none
    std::string_view fix;  // what to do
    std::string_view why;
};

}  // namespace drunner
