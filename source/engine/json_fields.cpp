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

}  // namespace drunner
