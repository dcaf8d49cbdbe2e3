#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "service/audit_trail.hpp"

namespace drunner {

// Words of a command line for logs: of settings ("PORT=80", "--set=PORT=80") only the names.
std::vector<std::string> without_values(std::vector<std::string> words);

// The line that a command which changes something leaves in the audit trail.
class OperationAudit {
  public:
    OperationAudit(const Command& command, const Arguments& arguments);
    OperationAudit(const OperationAudit&) = delete;
    OperationAudit& operator=(const OperationAudit&) = delete;

    // The command has a machine to work with, and that gathers what it works on.
    void begin(Machine& machine);
    // Writes the line where a service was worked on, or something else was changed. Where it cannot
    // be written that is a warning: what was done stands.
    void end(const Answer& answer);
    void end(const Error& error);

  private:
    void write();

    const bool may_change_;
    AuditEntry entry_;
    Machine* machine_ = nullptr;
    std::chrono::steady_clock::time_point began_;
};

}  // namespace drunner
