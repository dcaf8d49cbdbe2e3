#pragma once

#include <string>
#include <string_view>

#include "operation/operations.hpp"

namespace drunner {

// The JSON document of `status` and `inspect`; inspect adds the manifest.
std::string condition_document(std::string_view command, const ServiceCondition& condition);

}  // namespace drunner
