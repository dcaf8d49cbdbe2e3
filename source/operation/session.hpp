#pragma once

#include <string_view>

#include "core/service_name.hpp"
#include "host/lock.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// A changing operation on one service, from its lock to its end: takes the lock, recovers what an
// earlier one left unfinished, and lets go of the lock when it goes.
class ServiceSession {
  public:
    // Throws Error(locked), Error(unfinished). A hook of the operation that holds the lock may only
    // back up its own service: `allowed_nested` says so, otherwise Error(locked).
    ServiceSession(Machine& machine, const ServiceName& service, bool allowed_nested = false);
    ~ServiceSession();
    ServiceSession(const ServiceSession&) = delete;
    ServiceSession& operator=(const ServiceSession&) = delete;

    // True where something was finished or undone before the operation of its own.
    bool recovered() const { return recovered_; }

  private:
    Machine& machine_;
    ServiceName service_;
    FileLock lock_;
    bool recovered_ = false;
};

// Throws Error(usage) where the operation talks to another engine than the service is bound to.
void require_own_engine(const Machine& machine, const Manifest& manifest);

// Throws Error(locked) while a restore, update, rollback or obliterate of the service is between
// its first and its last step, unless this process comes from that operation's own hook.
void require_no_operation(const Machine& machine, const ServiceName& service);

// Whether two spellings name the same socket ("/var/run/docker.sock", "/run/docker.sock").
bool same_socket(const std::string& a, const std::string& b);

}  // namespace drunner
