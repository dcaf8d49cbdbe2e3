#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"
#include "host/clock.hpp"
#include "host/file.hpp"
#include "host/paths.hpp"

namespace drunner {

// What a journal on disk says.
struct JournalRecord {
    std::string operation;
    std::string verb;
    std::string command;
    std::string engine_socket;
    std::string started;
    bool committed = false;
    std::string path;
    std::vector<std::pair<std::string, std::string>> steps;     // to undo: name, parameters (JSON)
    std::vector<std::size_t> step_indexes;                      // their places in the journal
    std::vector<std::pair<std::string, std::string>> finishes;  // the same; those not done yet
    std::vector<std::size_t> finish_indexes;                    // their places in the journal
    struct RunningHook {
        std::string name;
        pid_t group = 0;
        unsigned long long start_time = 0;
    };
    std::optional<RunningHook> running_hook;
};

// The journal of one operation: services/S/journal, one JSON document a line, each synced before
// what it announces is done.
//
//   {"journal":1,"operation":ID,"verb":V,"command":C,"engine":E,"pid":P,"started":T}
//   {"step":NAME,"parameters":{...}}       about to be performed
//   {"settled":N}                          the Nth step (from 0) needs no undo any more
//   {"hook":NAME,"group":PID,"start":T}    a hook runs in that process group
//   {"hook_ended":NAME}
//   {"finish":NAME,"parameters":{...}}     to do after the commit
//   {"finished":N}                         the Nth finish (from 0) is done
//
// The commit is the rename of `journal` to `journal.committed`. An operation of a hook on its own
// service (a backup inside an update) writes `journal.nested`. A last line without a newline was
// never synced: what it announces was not begun.
class Journal {
  public:
    // Creates the service's directory where it is missing, and the journal in it.
    struct Head {
        std::string verb;
        std::string command;        // "drunner update blog"
        std::string engine_socket;  // whose objects the steps name
        TimePoint started;
        bool nested = false;  // inside another operation on the same service
    };
    Journal(const Paths& paths, const ServiceName& service, const Head& head);
    Journal(Journal&&) noexcept = default;

    const std::string& id() const { return id_; }

    void step(std::string_view name, std::string_view parameters);
    void settled(std::size_t step);
    void hook_started(std::string_view name, pid_t group);
    void hook_ended(std::string_view name);
    void finish(std::string_view name, std::string_view parameters);
    void commit();
    bool is_committed() const;
    // What the file says now.
    JournalRecord read() const;

  private:
    std::string id_;
    std::string path_;
    std::string committed_path_;
    FileDescriptor file_;
};

// The journals of a service, the nested one first; empty where nothing is unfinished. Reading
// changes nothing, and is also done while the operation runs.
std::vector<JournalRecord> read_journals(const Paths& paths, const ServiceName& service);

// Marks a step of the journal at `path` as needing no undo any more.
void mark_settled(const std::string& path, std::size_t index);
// Marks a finish as done in the committed journal at `path`.
void mark_finished(const std::string& path, std::size_t index);
// Removes the journal file, and the service's directory where nothing else is in it. A directory
// that cannot be synced behind that is no error.
void remove_journal(const std::string& path);

// What a kill leaves in the service's directory that no journal tells of: files that never got
// their name, or the directory itself, empty. Only the lock's holder may take it for that.
bool has_litter(const Paths& paths, const ServiceName& service);
void remove_litter(const Paths& paths, const ServiceName& service);

}  // namespace drunner
