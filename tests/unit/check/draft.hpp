#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "check/rules.hpp"

namespace drunner::test {

// An image in the making: what its author writes, and what the engine would tell of it. A new one
// keeps every rule.
struct Draft {
    Draft();

    std::string first_line = "#!/usr/bin/env bash";
    std::string options = "set -euo pipefail";
    std::string sources;
    std::string arguments;  // how servicerunner takes its words
    std::string functions;
    std::vector<std::pair<std::string, std::string>> arms;  // pattern, body
    std::string tail;
    std::string config;
    std::string dockerfile;
    std::string missing;  // one of the two files that must be there
    ImageFacts facts;     // what the texts do not tell
    bool is_context = false;

    std::string& arm(const std::string& pattern);
    void without_arm(const std::string& pattern);
    ImageFile& file(const std::string& name) { return extra_files[name]; }
    ImageFiles extra_files;

    std::string runner() const;
    ImageFacts build() const;
};

// An image that breaks a rule, and one that is near to it and does not.
struct Fixture {
    std::string rule;
    std::function<void(Draft&)> breaks;
    std::function<void(Draft&)> keeps;
};

// Of every rule, by level; one function for each file fixtures_NOUN.cpp.
std::vector<Fixture> image_fixtures();
std::vector<Fixture> script_fixtures();
std::vector<Fixture> volume_fixtures();
std::vector<Fixture> lifecycle_fixtures();
std::vector<Fixture> supply_fixtures();

// Two lines of servicerunner: one breaks the rule, the other does not.
Fixture line(const std::string& rule, const std::string& bad, const std::string& good);
// Two bodies of an arm.
Fixture arm(const std::string& rule, const std::string& pattern, const std::string& bad,
            const std::string& good);
// Two additions to servicecfg.sh, which may assign again.
Fixture config(const std::string& rule, const std::string& bad, const std::string& good);
// Two Dockerfiles.
Fixture dockerfile(const std::string& rule, const std::string& bad, const std::string& good);
// Two contents of a further file of /drunner.
Fixture file(const std::string& rule, const std::string& name, const std::string& bad,
             const std::string& good);

}  // namespace drunner::test
