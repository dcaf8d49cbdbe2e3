#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"
#include "operation/journal.hpp"
#include "operation/machine.hpp"

namespace drunner {

// One change of state. What `perform` does is the closure's; how it is undone follows from the name
// and the parameters alone, so that another process can do it from the journal (step_table.hpp).
struct Step {
    std::string name;
    std::string parameters;  // a JSON object
    std::function<void()> perform;
};

// Work that cannot be undone and is therefore done after the commit point: a name and parameters of
// the finish table. Must be idempotent.
struct Finish {
    std::string name;
    std::string parameters;  // a JSON object
};

// Tests watch, fail and kill steps through this. What it throws is treated as the step's own
// failure; something that is not a std::exception passes through without undo, like a kill.
class TransactionObserver {
  public:
    virtual ~TransactionObserver() = default;
    virtual void before(std::string_view step) = 0;  // written to the journal, not performed
    virtual void after(std::string_view step) = 0;   // performed
};

// The steps of one operation on one service, between its first change and its commit.
class Transaction {
  public:
    // Writes the step to the journal, then performs it. The answer names it for settle().
    std::size_t perform(const Step& step);
    // The step is no longer to be undone: what its undo owed has been done.
    void settle(std::size_t step);
    // Registers work for after the commit, in order.
    void after_commit(Finish finish);
    // Random, names this operation in labels and temporary names.
    const std::string& id() const { return journal_.id(); }
    Journal& journal() { return journal_; }

  private:
    friend void transact(Machine&, const ServiceName&, std::string_view,
                         const std::function<void(Transaction&)>&);
    Transaction(Machine& machine, const ServiceName& service, std::string_view verb);
    void commit();
    bool is_committed() const { return journal_.is_committed(); }
    // Undoes everything in reverse and removes the journal; answers what could not be done.
    std::vector<std::string> roll_back();
    // Performs the finishes and removes the journal; answers what could not be done.
    std::vector<std::string> finish();

    Machine& machine_;
    ServiceName service_;
    Journal journal_;
    std::size_t steps_ = 0;
    std::vector<Finish> finishes_;
};

// Runs `work` as one transaction. When it returns, the journal is renamed (the commit point) and
// the finishes are performed; when it throws, everything that it performed is undone in reverse and
// the error is thrown on. Where undo or a finish fails, the journal stays for recovery and the
// error names `drunner recover`. The caller holds the service's lock.
void transact(Machine& machine, const ServiceName& service, std::string_view verb,
              const std::function<void(Transaction&)>& work);

enum class Recovery { nothing, undone, finished };

// Finishes or undoes what a killed operation left, and says so. The caller holds the lock. Throws
// Error(unfinished) where that fails; it can be tried again.
Recovery recover_unfinished(Machine& machine, const ServiceName& service);

}  // namespace drunner
