#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"

namespace drunner {

// A job that a timer runs.
struct Schedule {
    std::string job;   // backup update drill verify
    std::string when;  // a calendar expression (service/calendar.hpp), or systemd's
    std::vector<ServiceName> services;  // sorted; none: all that there are then
    std::vector<std::string> options;   // for the job's command line: "--identity=/root/key"
    std::string set_at;                 // ISO 8601
    std::string began_at = {};          // its last run, empty: it never ran
    std::optional<int> exit_code = {};  // of that run, empty: it did not end
    // NAME=VALUE for the job: which engine, and whose credentials, were meant when it was set.
    std::vector<std::string> environment = {};

    // The job and its services: "backup", "backup:blog:wiki". There is one schedule of an id.
    std::string id() const;
    bool operator==(const Schedule&) const = default;
};

bool is_scheduled_job(std::string_view word);

// The schedules of this installation: a JSON file each, which is written as a whole. Whoever
// changes one holds Paths::schedules_lock.
class ScheduleStore {
  public:
    explicit ScheduleStore(std::string directory) : directory_(std::move(directory)) {}

    // By id. Throws Error(broken) for a file that cannot be understood.
    std::vector<Schedule> all() const;
    std::optional<Schedule> find(const std::string& id) const;
    void save(const Schedule& schedule) const;
    void remove(const std::string& id) const;

  private:
    std::string file_of(const std::string& id) const;

    std::string directory_;
};

}  // namespace drunner
