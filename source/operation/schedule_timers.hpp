#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operation/machine.hpp"
#include "service/schedules.hpp"

namespace drunner {

// Who calls `drunner schedule run ID` when it is due: a timer of systemd's for each schedule, where
// systemd runs, else lines in one table of cron's.
class Timers {
  public:
    // Throws Error(system) where neither is here.
    explicit Timers(Machine& machine);

    // Throws Error(usage) for a time that this host's timers do not know.
    void check(const std::string& when) const;
    // Whether the schedule's timer is there and goes.
    bool stands(const Schedule& schedule, const std::vector<Schedule>& all) const;
    // `all` is what there is from now on, with the schedule itself.
    void put(const Schedule& schedule, const std::vector<Schedule>& all) const;
    // `all` is what is left.
    void remove(const std::string& id, const std::vector<Schedule>& all) const;
    // "systemd" or "cron".
    const char* keeper() const { return systemd_ ? "systemd" : "cron"; }

  private:
    struct Unit {
        std::string file;
        std::string text;
    };
    std::vector<Unit> units_of(const Schedule& schedule) const;
    std::string table_of(const std::vector<Schedule>& all) const;
    std::optional<std::string> failure_of(const std::vector<std::string>& words) const;
    void systemctl(std::vector<std::string> words) const;

    Machine& machine_;
    bool systemd_ = false;
};

}  // namespace drunner
