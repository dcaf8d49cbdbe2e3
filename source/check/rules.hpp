#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "check/rule.hpp"
#include "check/subject.hpp"

namespace drunner {

inline constexpr int highest_level = 8;
inline constexpr std::array<std::string_view, highest_level + 1> level_names{
    "contract",        "user and permissions", "scripts",
    "volumes",         "lifecycle verbs",      "health",
    "backup, restore", "documentation",        "reproducible, supply chain",
};

// Parts of the one list, one for each file rules_NOUN.cpp.
std::vector<Rule> contract_rules();
std::vector<Rule> user_rules();
std::vector<Rule> privilege_rules();
std::vector<Rule> secret_rules();
std::vector<Rule> script_file_rules();
std::vector<Rule> script_rules();
std::vector<Rule> host_rules();
std::vector<Rule> docker_rules();
std::vector<Rule> volume_rules();
std::vector<Rule> verb_rules();
std::vector<Rule> health_rules();
std::vector<Rule> backup_rules();
std::vector<Rule> documentation_rules();
std::vector<Rule> supply_rules();
std::vector<Rule> context_rules();

// The one list, by level.
const std::vector<Rule>& all_rules();
// nullptr where there is none of that id.
const Rule* find_rule(std::string_view id);

struct NotJudged {
    std::string_view rule;
    int level = 0;
    std::string reason;
};

struct Judgement {
    std::vector<Finding> findings;      // by level
    std::vector<NotJudged> not_judged;  // by level

    // The highest level at and below which no error was found; -1 where the contract is broken.
    int level_reached() const;
};

// Every rule over what is known. At most 20 places are told of one rule, and how many more there
// are.
Judgement judge(const ImageFacts& facts);

}  // namespace drunner
