#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/paths.hpp"
#include "host/process.hpp"

namespace drunner {

// What stood under a service's name.
struct AuditedState {
    int release = 0;
    std::string reference;
    std::string image_id;      // "sha256:..."
    std::string image_digest;  // of the registry, empty for a local image
    std::string scripts;       // scripts_digest

    bool operator==(const AuditedState&) const = default;
};

// A service that an operation worked on; a state is empty where nothing was installed then.
struct AuditedService {
    std::string name;
    std::optional<AuditedState> before;
    std::optional<AuditedState> after;

    bool operator==(const AuditedService&) const = default;
};

// One operation, from who asked for it to how it ended.
struct AuditEntry {
    std::string at;  // ISO 8601, when it began
    Caller caller;
    std::string version;               // of drunner
    std::string command;               // "update"
    std::vector<std::string> words;    // behind it; values of settings are left out
    std::vector<std::string> options;  // "--image=REF", the same way
    std::vector<AuditedService> services;
    std::int64_t milliseconds = 0;  // that it took
    int exit_code = 0;
    std::string kind;  // kind_word of its error, empty where there was none
    bool rolled_back = false;

    bool operator==(const AuditEntry&) const = default;
};

// The JSON object of a line of the trail, without its end.
std::string to_json(const AuditEntry& entry);

// A line that is not as it was written, or not behind the one it was written behind.
struct AuditFault {
    std::string file;
    std::size_t line = 0;  // from 1
    std::string reason;
};

// Who did what to the services of this host: P/var/log/drunner/audit.log, one JSON document a line,
// only ever added to. At a mebibyte the file becomes audit-000001.log (and so on), of which the
// last hundred are kept.
//
// A line ends with
//   ,"previous":"P","sha256":"D"}
// where P is the D of the line before (64 zeros in the first of all) and D is the SHA-256 of the
// line up to the comma before "sha256", so that anybody can compute it. Who edits, drops or swaps
// lines breaks the chain; who rewrites all of it from there on is found by a D that was noted down
// elsewhere before.
class AuditTrail {
  public:
    explicit AuditTrail(const Paths& paths) : paths_(paths) {}

    // Throws Error(system, no_space, locked, interrupted).
    void add(const AuditEntry& entry) const;
    // The oldest first. Lines that cannot be read are left out: verify() tells of them.
    std::vector<AuditEntry> entries() const;

    struct Verdict {
        std::vector<std::string> digests;  // the D of every line
        std::optional<AuditFault> fault;   // the first
    };
    Verdict verify() const;

  private:
    std::vector<std::string> files() const;  // the oldest first

    const Paths& paths_;
};

}  // namespace drunner
