#pragma once

#include <optional>
#include <string_view>

#include "core/service_name.hpp"
#include "host/lock.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// A changing operation on one service, from its lock to its end: takes the lock, recovers what an
// earlier one left unfinished, and lets go of the lock when it goes.
//
// With --check it takes no lock and recovers nothing. What is unfinished is then told, and is
// Error(unfinished) where the operation would go on from the state behind the recovery, which
// nobody can foretell.
class ServiceSession {
  public:
    enum class Use {
        usual,
        // A hook of the operation that holds the lock may do it too: only the backup of its own
        // service. Otherwise that is Error(locked).
        nested,
        // The recovery is a change that counts, whatever there is to do behind it.
        recovery_counts,
    };
    // Throws Error(locked), Error(unfinished).
    ServiceSession(Machine& machine, const ServiceName& service, Use use = Use::usual);
    ~ServiceSession();
    ServiceSession(const ServiceSession&) = delete;
    ServiceSession& operator=(const ServiceSession&) = delete;

    // True where something was finished or undone before the operation of its own; with --check,
    // where it would be.
    bool recovered() const { return recovered_; }
    // With --check: an operation would be finished or undone first, so that what stands now tells
    // nothing of what comes behind that.
    bool is_unfinished() const { return unfinished_; }

  private:
    void rehearse(Use use);

    Machine& machine_;
    ServiceName service_;
    std::optional<FileLock> lock_;  // empty with --check
    std::size_t audited_ = 0;       // its place in machine_.audited
    bool recovered_ = false;
    bool unfinished_ = false;
};

// Throws Error(usage) where the operation talks to another engine than the service is bound to.
void require_own_engine(const Machine& machine, const Manifest& manifest);

// Throws Error(locked) while a restore, update, rollback or obliterate of the service is between
// its first and its last step, unless this process comes from that operation's own hook.
void require_no_operation(const Machine& machine, const ServiceName& service);

// Whether two spellings name the same socket ("/var/run/docker.sock", "/run/docker.sock").
bool same_socket(const std::string& a, const std::string& b);

}  // namespace drunner
