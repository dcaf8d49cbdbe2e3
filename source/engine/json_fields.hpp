#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace drunner {

// Fields of a document that somebody else wrote: what is absent, null or of another type is the
// empty value.

const nlohmann::json& member(const nlohmann::json& object, const char* key);
std::string text_of(const nlohmann::json& object, const char* key);
// Whole numbers only.
std::int64_t number_of(const nlohmann::json& object, const char* key);
// The texts of a list; one text alone counts as a list of it.
std::vector<std::string> texts_of(const nlohmann::json& object, const char* key);
std::map<std::string, std::string> pairs_of(const nlohmann::json& object, const char* key);
// The keys of an object.
std::vector<std::string> names_of(const nlohmann::json& object, const char* key);

}  // namespace drunner
