#pragma once

#include <string>

#include "operation/image_test.hpp"

namespace drunner {

// A test's report as JUnit XML: one <testsuite>, a <testcase> for each step.
std::string junit_document(const TestReport& report);

}  // namespace drunner
