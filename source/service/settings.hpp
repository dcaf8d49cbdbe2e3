#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "service/manifest.hpp"

namespace drunner {

// The settings of a service: declared by SETTINGS in servicecfg.sh, given by the operator, kept in
// service.json, read by the scripts in variables.sh.

// Name -> value.
using Settings = std::map<std::string, std::string>;

// The value as it is kept (a bool becomes yes or no). Throws Error(usage) that names the setting,
// the value and what is meant.
std::string checked_setting(const SettingDeclaration& declaration, std::string_view value);

// Throws Error(usage) where nothing of that name is declared; `next` lists the declared ones.
const SettingDeclaration& declared_setting(const Manifest& manifest, std::string_view name);

// What the scripts of a release see: every declared setting, as given or by its default.
Settings effective_settings(const ServiceConfig& config, const Settings& given);

// The required settings that have no value, in the order of the file.
std::vector<std::string> missing_settings(const ServiceConfig& config, const Settings& given);

// Settles what the current release's scripts see. Throws Error(usage) where a given value is not
// what that release declares. Values that it does not declare are kept for another one.
void adopt_settings(Manifest& manifest);

}  // namespace drunner
