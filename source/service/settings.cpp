#include "service/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

bool is_port(std::string_view text) {
    constexpr std::int64_t highest = 65'535;
    const auto number = number_of(text);
    return number && *number >= 1 && *number <= highest && text.front() != '0';
}

bool is_absolute_path(std::string_view text) {
    const std::vector<std::string> parts = split(text, '/');
    return text.starts_with('/') && std::find(parts.begin(), parts.end(), "..") == parts.end();
}

// Scheme and something behind it (RFC 3986): what the service makes of it is its own affair.
bool is_url(std::string_view text) {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || colon == 0 || colon + 3 == text.size()) {
        return false;
    }
    const auto in_scheme = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '+' || c == '-' || c == '.';
    };
    const bool letter = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
    return letter &&
           std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                       in_scheme) &&
           std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

Error wrong_value(const SettingDeclaration& declaration, std::string_view value,
                  const std::string& meant) {
    return Error(ErrorKind::usage, "setting '" + declaration.name + "' is '" + printable(value) +
                                       "', where " + meant + " is meant");
}

}  // namespace

std::string checked_setting(const SettingDeclaration& declaration, std::string_view value) {
    if (value.find('\0') != std::string_view::npos) {
        throw wrong_value(declaration, value, "a text without NUL");
    }
    // "Not set" is a value of every type; whether there must be one is another question.
    if (value.empty() || declaration.type == "string") {
        return std::string(value);
    }
    if (declaration.type == "bool") {
        if (is_one_of(value, {"yes", "true", "on", "1"})) {
            return "yes";
        }
        if (is_one_of(value, {"no", "false", "off", "0"})) {
            return "no";
        }
        throw wrong_value(declaration, value, "yes or no");
    }
    const struct {
        std::string_view type;
        bool good;
        const char* meant;
    } rows[]{
        {"int", number_of(value).has_value(), "a whole number"},
        {"port", is_port(value), "a port from 1 to 65535"},
        {"path", is_absolute_path(value), "an absolute path without '..'"},
        {"url", is_url(value), "a URL such as https://example.org/"},
    };
    for (const auto& row : rows) {
        if (declaration.type == row.type && !row.good) {
            throw wrong_value(declaration, value, row.meant);
        }
    }
    return std::string(value);
}

const SettingDeclaration& declared_setting(const Manifest& manifest, std::string_view name) {
    const std::vector<SettingDeclaration>& declared = manifest.release().config.settings;
    const auto found =
        std::find_if(declared.begin(), declared.end(),
                     [&](const SettingDeclaration& one) { return one.name == name; });
    if (found == declared.end()) {
        throw Error(ErrorKind::usage,
                    "'" + manifest.name.text() + "' has no setting '" + printable(name) + "'",
                    "drunner settings " + manifest.name.text());
    }
    return *found;
}

Settings effective_settings(const ServiceConfig& config, const Settings& given) {
    Settings settings;
    for (const SettingDeclaration& declared : config.settings) {
        const auto found = given.find(declared.name);
        settings[declared.name] = found == given.end() ? declared.default_value : found->second;
    }
    return settings;
}

std::vector<std::string> missing_settings(const ServiceConfig& config, const Settings& given) {
    const Settings settings = effective_settings(config, given);
    std::vector<std::string> missing;
    for (const SettingDeclaration& declared : config.settings) {
        if (declared.required && settings.at(declared.name).empty()) {
            missing.push_back(declared.name);
        }
    }
    return missing;
}

void adopt_settings(Manifest& manifest) {
    const auto current =
        std::find_if(manifest.releases.begin(), manifest.releases.end(),
                     [&](const Release& one) { return one.number == manifest.current; });
    for (const SettingDeclaration& declared : current->config.settings) {
        const auto given = manifest.settings.find(declared.name);
        if (given != manifest.settings.end()) {
            try {
                given->second = checked_setting(declared, given->second);
            } catch (const Error& error) {
                throw Error(
                    error.kind(), error.what(),
                    "drunner configure " + manifest.name.text() + " --clear " + declared.name);
            }
        }
    }
    current->settings = effective_settings(current->config, manifest.settings);
}

}  // namespace drunner
