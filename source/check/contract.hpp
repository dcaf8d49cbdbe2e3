#pragma once

#include <vector>

#include "check/image_facts.hpp"
#include "check/rule.hpp"

namespace drunner {

// The rules of level 0, which install and update insist on, in the order in which they are told.
// They look at no script's text.
std::vector<Finding> check_contract(const ImageFacts& facts);

}  // namespace drunner
