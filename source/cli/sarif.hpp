#pragma once

#include <string>
#include <string_view>

#include "check/rules.hpp"

namespace drunner {

// A judgement as a SARIF 2.1.0 log (OASIS, Static Analysis Results Interchange Format): all rules,
// one result for each finding; `subject` is the image or directory that was judged.
std::string sarif_log(const Judgement& judgement, std::string_view subject,
                      std::string_view version);

}  // namespace drunner
