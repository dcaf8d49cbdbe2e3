#pragma once

#include <string>

#include "check/image_facts.hpp"

namespace drunner {

// What a directory that an image is built from tells: `Dockerfile`, and `drunner/` as /drunner will
// be. Files only are read, by no more than ImageFilesLimits, and no link is followed. Throws
// Error(usage) where it is no directory or holds neither.
ImageFacts read_build_context(const std::string& directory);

}  // namespace drunner
