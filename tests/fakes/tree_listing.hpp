#pragma once

#include <string>
#include <vector>

namespace drunner::test {

// Everything that must survive a round trip, one sorted line for each entry of a directory (itself
// first): path, type, mode, owner, time in nanoseconds, size, SHA-256 of the content, target of a
// link, device, extended attributes and ACLs as hexadecimal, and the first path of its hard links.
// Works at any depth.
struct ListingOptions {
    bool holes = false;  // also whether a file has holes
};
std::vector<std::string> tree_listing(const std::string& directory, ListingOptions options = {});

}  // namespace drunner::test
