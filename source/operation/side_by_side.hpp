#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"

namespace drunner {

// Work on several services at once, in threads of this process.
//
// Why threads and not a child for each service: one Registry sees to it that a registry has two
// connections at most and is asked for a reference once, whatever runs beside, and one process
// answers, writes one line of the audit trail and is what a signal, or a kill, ends. What threads
// share is little, and safe: Engine, Registry and ScriptRunner may be called from several; each
// piece of work has a Machine of its own, so that what is told and audited does not mix, and a
// Progress of its own that names it; a signal reaches each of them (CancellationScope), and each
// undoes its own; the lock of a service admits its own hooks only (FileLock::admit); the umask is
// never changed for the process. Everything else is files of the service, behind its lock, as with
// two drunners.

struct Work {
    std::string name;
    // Places of others in the list that must have ended before; without a cycle.
    std::vector<std::size_t> after = {};
};

// Does `work(machine, place)` for each of the list, `jobs` of them at a time, those that may begin
// in the order of the list; it answers whether that piece succeeded. One that fails stops nobody,
// and a warning tells those that come after it. With jobs 1, or a single piece, all of it happens
// in this thread. What was told and audited is put together in the order of the list. Where `work`
// throws, or cancellation is pending, none begins any more, and when all have ended the first that
// was thrown is thrown.
void work_side_by_side(Machine& machine, const std::vector<Work>& list, unsigned jobs,
                       const std::function<bool(Machine&, std::size_t)>& work);

// One of several failed, and the others go on: warns of it, with the next command to type.
void tell_failure(Machine& machine, const std::string& subject, const Error& error);

// Services in the order of their names in `names`, each with the AFTER of its servicecfg.sh. Names
// that are not in the list are left out. Where services wait for each other in a circle, the first
// of them in the list does not wait for the others of it, and `cycles` says so.
struct ServiceOrder {
    std::vector<Work> list;
    std::vector<std::string> cycles;  // warnings
};
ServiceOrder order_services(const std::vector<ServiceName>& names,
                            const std::vector<std::vector<std::string>>& after);

// The AFTER of each service as it is installed, empty for one that is not or is broken.
std::vector<std::vector<std::string>> installed_after(const Machine& machine,
                                                      const std::vector<ServiceName>& names);

}  // namespace drunner
