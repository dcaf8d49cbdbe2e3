#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace drunner {

// Fields of a document that somebody else wrote: what is absent, null or of another type is the
// empty value.

const nlohmann::json& member(const nlohmann::json& object, const char* key);
std::string text_of(const nlohmann::json& object, const char* key);
// Whole numbers only.
std::int64_t number_of(const nlohmann::json& object, const char* key);

}  // namespace drunner
