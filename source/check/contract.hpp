#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/image_files.hpp"
#include "core/service_name.hpp"
#include "service/image_user.hpp"
#include "service/service_config.hpp"

namespace drunner {

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
};

enum class Severity { error, warning };

struct Finding {
    std::string_view rule;  // stable id
    Severity severity = Severity::error;
    std::string message;   // what was found
    std::string file;      // below /drunner, empty where none
    int line = 0;          // 1-based, 0 where none
    std::string_view fix;  // what to do
};

// One rule of the contract.
struct Rule {
    std::string_view id;
    Severity severity;
    std::string_view why;
    std::string_view fix;
    // Answers what is wrong, or an empty text.
    std::string (*check)(const ImageFacts& facts);
    std::string_view file;
};

// The one table, in the order in which they are checked and told.
const std::vector<Rule>& contract_rules();

std::vector<Finding> check_contract(const ImageFacts& facts);

}  // namespace drunner
