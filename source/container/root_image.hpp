#pragma once

#include <string>

#include "engine/engine.hpp"

namespace drunner {

// A root directory as an image: the engine takes nothing else for a container's root. The image is
// named after the SHA-256 of the directory's tar, so equal directories share one.
inline constexpr const char* root_repository = "localhost/drunner-root";

struct RootImage {
    std::string reference;  // "localhost/drunner-root:DIGITS"
    bool made = false;      // by this call
};

// Reads the directory, and has the engine import it where it has not got it yet. Throws
// Error(usage) where it is no directory, Error(in_use) where it changed meanwhile, Error(system).
RootImage import_root(Engine& engine, const std::string& directory);

}  // namespace drunner
