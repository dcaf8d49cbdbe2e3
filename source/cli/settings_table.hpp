#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "operation/settings.hpp"

namespace drunner {

// The settings of a service for people, a line each, and as a JSON list.
std::string settings_table(const std::vector<SettingState>& settings);
nlohmann::json settings_list(const std::vector<SettingState>& settings);

}  // namespace drunner
