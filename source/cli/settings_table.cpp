#include "cli/settings_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text.hpp"

namespace drunner {
namespace {

std::string origin(const SettingState& setting) {
    if (setting.given) {
        return "set";
    }
    return setting.declaration.required && setting.value.empty() ? "missing" : "default";
}

}  // namespace

std::string settings_table(const std::vector<SettingState>& settings) {
    std::size_t name_width = 0;
    std::size_t value_width = 0;
    for (const SettingState& setting : settings) {
        name_width = std::max(name_width, setting.declaration.name.size());
        value_width = std::max(value_width, printable(setting.value).size());
    }
    std::string text;
    for (const SettingState& setting : settings) {
        text += fmt::format("{:<{}}  {:<{}}  {:<7}  {:<6}  {}\n", setting.declaration.name,
                            name_width, printable(setting.value), value_width, origin(setting),
                            setting.declaration.type, printable(setting.declaration.text));
    }
    return text;
}

nlohmann::json settings_list(const std::vector<SettingState>& settings) {
    nlohmann::json list = nlohmann::json::array();
    for (const SettingState& setting : settings) {
        list.push_back({{"name", setting.declaration.name},
                        {"value", setting.value},
                        {"origin", origin(setting)},
                        {"required", setting.declaration.required},
                        {"default", setting.declaration.default_value},
                        {"type", setting.declaration.type},
                        {"text", setting.declaration.text}});
    }
    return list;
}

}  // namespace drunner
