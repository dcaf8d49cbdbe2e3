#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/paths.hpp"
#include "host/process.hpp"

namespace drunner {

// Whether the file of this path below /drunner is drunner's own on the host.
bool is_generated(std::string_view path);

// One digest for a set of scripts (path below /drunner -> SHA-256 of the file): the SHA-256 of what
// `sha256sum` prints for them in byte order of their paths, so that anybody can compute it:
//   cd drunner && find . -type f ! -path ./variables.sh ! -path ./utils.sh -printf '%P\0' |
//       LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
// Those two are drunner's own on the host, and an image's are never run.
std::string scripts_digest(const std::map<std::string, std::string>& hashes);

// Somebody looked at scripts and said that they may run as root.
struct ScriptAcceptance {
    std::string at;       // ISO 8601
    std::string service;  // under which name
    std::string digest;   // scripts_digest
    Caller caller;
    std::map<std::string, std::string> hashes = {};  // of each file, where they were known

    bool operator==(const ScriptAcceptance&) const = default;
};

// P/var/lib/drunner/accepted: one JSON document a line, only ever added to. Scripts are accepted
// for this host whatever a service is called, and stay so when it is gone.
class ScriptAcceptances {
  public:
    explicit ScriptAcceptances(const Paths& paths) : file_(paths.accepted_scripts()) {}

    // In the order in which they were added. Lines that are not whole are no acceptances.
    std::vector<ScriptAcceptance> all() const;
    bool contains(std::string_view digest) const;
    void add(const ScriptAcceptance& acceptance) const;

  private:
    std::string file_;
};

}  // namespace drunner
