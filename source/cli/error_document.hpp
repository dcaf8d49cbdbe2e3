#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/error.hpp"

namespace drunner {

// A failure as every document has it: kind, message, next, retryable, rolled_back.
nlohmann::json error_document(const Error& error);

}  // namespace drunner
