#include "engine/json_fields.hpp"

#include <nlohmann/json.hpp>

namespace drunner {

using nlohmann::json;

const json& member(const json& object, const char* key) {
    static const json nothing;
    if (!object.is_object()) {
        return nothing;
    }
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
}

std::string text_of(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t number_of(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

std::vector<std::string> texts_of(const json& object, const char* key) {
    const json& value = member(object, key);
    std::vector<std::string> texts;
    if (value.is_array()) {
        for (const json& text : value) {
            if (text.is_string()) {
                texts.push_back(text.get<std::string>());
            }
        }
    } else if (value.is_string()) {
        texts.push_back(value.get<std::string>());
    }
    return texts;
}

std::map<std::string, std::string> pairs_of(const json& object, const char* key) {
    const json& value = member(object, key);
    std::map<std::string, std::string> pairs;
    if (value.is_object()) {
        for (const auto& [name, text] : value.items()) {
            pairs[name] = text.is_string() ? text.get<std::string>() : "";
        }
    }
    return pairs;
}

std::vector<std::string> names_of(const json& object, const char* key) {
    const json& value = member(object, key);
    std::vector<std::string> names;
    if (value.is_object()) {
        for (const auto& [name, ignored] : value.items()) {
            names.push_back(name);
        }
    }
    return names;
}

}  // namespace drunner
