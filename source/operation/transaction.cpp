#include "operation/transaction.hpp"

#include <sys/stat.h>

#include <chrono>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/process.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/step_table.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds hook_grace{10};
// How long the engine may go on with a request whose client was killed.
constexpr std::chrono::milliseconds engine_settles{500};

std::string recover_command(const ServiceName& service) {
    return "drunner recover " + service.text();
}

// Stops where a step cannot be undone: those before it may hold what that one still needs, like
// the directory where the old data lies. The next recovery goes on from there.
std::vector<std::string> undo_in_reverse(const UndoContext& context, const JournalRecord& record) {
    for (std::size_t i = record.steps.size(); i-- > 0;) {
        const auto& [name, parameters] = record.steps[i];
        try {
            find_step(name).undo(context, json::parse(parameters));
        } catch (const std::exception& error) {
            return {"cannot undo '" + name + "': " + error.what()};
        }
        try {
            mark_settled(record.path, record.step_indexes[i]);
        } catch (const Error& error) {
            // Then it is undone once more, if ever: on a full disk undo must go on.
            context.machine.progress.detail(error.what());
        }
    }
    return {};
}

// Performs the finishes from the journal's point of view: each one that fails is named, the others
// still run.
std::vector<std::string> finish_all(Machine& machine, const ServiceName& service,
                                    const JournalRecord& record) {
    std::vector<std::string> failures;
    for (std::size_t i = 0; i < record.finishes.size(); ++i) {
        const auto& [name, parameters] = record.finishes[i];
        try {
            if (machine.observer != nullptr) {
                machine.observer->before(name);
            }
            find_finish(name).perform(machine, service, json::parse(parameters));
            if (machine.observer != nullptr) {
                machine.observer->after(name);
            }
            mark_finished(record.path, record.finish_indexes[i]);
        } catch (const std::exception& error) {
            failures.emplace_back(error.what());
        }
    }
    return failures;
}

// The engine may still be making what the killed one asked for last, and undo would not find it.
void let_engine_settle(Machine& machine, const JournalRecord& record) {
    struct stat status {};
    if (stat(record.path.c_str(), &status) != 0) {
        return;
    }
    const auto written = std::chrono::system_clock::from_time_t(status.st_mtim.tv_sec) +
                         std::chrono::nanoseconds(status.st_mtim.tv_nsec);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        written + engine_settles - std::chrono::system_clock::now());
    if (left.count() > 0 && left <= engine_settles) {
        machine.clock.wait(left);
    }
}

// The last act on a journal, and only where nothing of it is left to do; adds what fails.
void close_journal(const std::string& path, std::vector<std::string>& failures) {
    if (!failures.empty()) {
        return;
    }
    try {
        remove_journal(path);
    } catch (const Error& error) {
        failures.emplace_back(error.what());
    }
}

void end_running_hook(Machine& machine, const ServiceName& service, const JournalRecord& record) {
    if (!record.running_hook) {
        return;
    }
    end_process_group(record.running_hook->group, record.running_hook->start_time, hook_grace);
    // A docker client that is killed leaves its container, which the engine may still be making,
    // and the container its name.
    machine.clock.wait(engine_settles);
    remove_hook_container(machine, service, record.running_hook->name);
}

}  // namespace

Transaction::Transaction(Machine& machine, const ServiceName& service, std::string_view verb)
    : machine_(machine),
      service_(service),
      journal_(machine.paths, service,
               {std::string(verb), machine.command_line, machine.engine_socket, machine.clock.now(),
                machine.nested}) {}

std::size_t Transaction::perform(const Step& step) {
    check_cancellation();
    find_step(step.name);
    journal_.step(step.name, step.parameters);
    if (machine_.observer != nullptr) {
        machine_.observer->before(step.name);
    }
    step.perform();
    if (machine_.observer != nullptr) {
        machine_.observer->after(step.name);
    }
    return steps_++;
}

void Transaction::settle(std::size_t step) {
    journal_.settled(step);
}

void Transaction::after_commit(Finish finish) {
    find_finish(finish.name);
    finishes_.push_back(std::move(finish));
}

void Transaction::commit() {
    check_cancellation();
    for (const Finish& finish : finishes_) {
        journal_.finish(finish.name, finish.parameters);
    }
    if (machine_.observer != nullptr) {
        machine_.observer->before("commit");
    }
    journal_.commit();
    if (machine_.observer != nullptr) {
        machine_.observer->after("commit");
    }
}

std::vector<std::string> Transaction::roll_back() {
    const CancellationShield shield;
    try {
        const JournalRecord record = journal_.read();
        end_running_hook(machine_, service_, record);
        std::vector<std::string> failures =
            undo_in_reverse({machine_, service_, record.operation}, record);
        close_journal(record.path, failures);
        return failures;
    } catch (const Error& error) {
        return {error.what()};
    }
}

std::vector<std::string> Transaction::finish() {
    const CancellationShield shield;
    try {
        const JournalRecord record = journal_.read();
        std::vector<std::string> failures = finish_all(machine_, service_, record);
        close_journal(record.path, failures);
        return failures;
    } catch (const Error& error) {
        return {error.what()};
    }
}

void transact(Machine& machine, const ServiceName& service, std::string_view verb,
              const std::function<void(Transaction&)>& work) {
    Transaction transaction(machine, service, verb);
    try {
        work(transaction);
        transaction.commit();
    } catch (const std::exception& error) {
        // A commit whose rename succeeded stands, whatever failed behind it.
        if (!transaction.is_committed()) {
            const auto* known = dynamic_cast<const Error*>(&error);
            const Error told = known != nullptr ? *known : Error(ErrorKind::system, error.what());
            if (const std::vector<std::string> failures = transaction.roll_back();
                !failures.empty()) {
                throw Error(told.kind(), std::string(told.what()) + "; and " + join(failures, "; "),
                            recover_command(service));
            }
            throw told.after_roll_back();
        }
    }
    if (const std::vector<std::string> failures = transaction.finish(); !failures.empty()) {
        throw Error(ErrorKind::unfinished, join(failures, "; "), recover_command(service));
    }
}

Recovery recover_unfinished(Machine& machine, const ServiceName& service) {
    const CancellationShield shield;
    Recovery recovery = Recovery::nothing;
    for (const JournalRecord& record : read_journals(machine.paths, service)) {
        const std::string what =
            "'" + record.command + "' of " + record.started + " on '" + service.text() + "'";
        if (!same_socket(record.engine_socket, machine.engine_socket)) {
            throw Error(
                ErrorKind::unfinished,
                "cannot recover " + what + " here: it spoke to the engine at '" +
                    record.engine_socket + "'",
                "drunner --host unix://" + record.engine_socket + " recover " + service.text());
        }
        std::vector<std::string> failures;
        end_running_hook(machine, service, record);
        let_engine_settle(machine, record);
        if (record.committed) {
            machine.progress.note("finishing the interrupted " + what);
            failures = finish_all(machine, service, record);
            recovery = Recovery::finished;
        } else {
            machine.progress.note("undoing the interrupted " + what);
            failures = undo_in_reverse({machine, service, record.operation}, record);
            recovery = Recovery::undone;
        }
        close_journal(record.path, failures);
        if (!failures.empty()) {
            throw Error(ErrorKind::unfinished,
                        "cannot recover " + what + ": " + join(failures, "; "),
                        recover_command(service));
        }
    }
    if (has_litter(machine.paths, service)) {
        remove_litter(machine.paths, service);
        recovery = recovery == Recovery::nothing ? Recovery::undone : recovery;
    }
    return recovery;
}

}  // namespace drunner
