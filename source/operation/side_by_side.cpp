#include "operation/side_by_side.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/changes.hpp"
#include "service/audit_trail.hpp"
#include "service/manifest.hpp"

namespace drunner {
namespace {

// Says everything behind a name, in whole lines, so that what is said side by side can be told
// apart: "blog | pulling ...".
class NamedProgress : public Progress {
  public:
    NamedProgress(Progress& progress, std::mutex& mutex, const std::string& name)
        : progress_(progress), mutex_(mutex), prefix_(name + " | ") {}
    ~NamedProgress() override {
        if (!line_.empty()) {
            pass_on(line_ + "\n");
        }
    }
    NamedProgress(const NamedProgress&) = delete;
    NamedProgress& operator=(const NamedProgress&) = delete;

    void note(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.note(named(text));
    }
    void warning(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.warning(named(text));
    }
    void detail(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.detail(named(text));
    }
    void script_output(std::string_view bytes) override {
        line_ += bytes;
        const std::size_t end = line_.rfind('\n') + 1;
        if (end > 0) {
            pass_on(line_.substr(0, end));
            line_.erase(0, end);
        } else if (line_.size() > longest_line) {
            pass_on(std::exchange(line_, {}) + "\n");
        }
    }
    void advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                 std::string_view unit) override {
        const std::lock_guard lock(mutex_);
        progress_.advance(named(activity), done, total, unit);
    }
    void end(std::string_view activity) override {
        const std::lock_guard lock(mutex_);
        progress_.end(named(activity));
    }

  private:
    static constexpr std::size_t longest_line = 64UL * 1024;

    std::string named(std::string_view text) const { return prefix_ + std::string(text); }
    void pass_on(const std::string& lines) {
        std::string text;
        std::size_t begin = 0;
        for (std::size_t end = lines.find('\n'); end != std::string::npos;
             begin = end + 1, end = lines.find('\n', begin)) {
            text += prefix_ + lines.substr(begin, end + 1 - begin);
        }
        const std::lock_guard lock(mutex_);
        progress_.script_output(text);
    }

    Progress& progress_;
    std::mutex& mutex_;
    const std::string prefix_;
    std::string line_;  // of a script, without its end so far
};

class SideBySide {
  public:
    SideBySide(Machine& machine, const std::vector<Work>& list,
               const std::function<bool(Machine&, std::size_t)>& work)
        : machine_(machine), list_(list), work_(work), states_(list.size()), told_(list.size()) {}

    void run(unsigned jobs) {
        const std::size_t threads = std::min<std::size_t>(jobs, list_.size());
        if (threads <= 1) {
            take_turns(false);
        } else {
            std::vector<std::jthread> workers;
            for (std::size_t i = 0; i < threads; ++i) {
                workers.emplace_back([this] {
                    const CancellationScope scope;
                    take_turns(true);
                });
            }
        }
        put_together();
        if (thrown_) {
            std::rethrow_exception(thrown_);
        }
    }

  private:
    enum class State { waits, runs, succeeded, failed };
    struct Told {
        Changes changes;
        std::vector<AuditedService> audited;
    };

    bool has_ended(std::size_t place) const {
        return states_[place] == State::succeeded || states_[place] == State::failed;
    }

    // The next that may begin, once there is one; empty where there is none left.
    std::optional<std::size_t> take(std::unique_lock<std::mutex>& lock) {
        while (!thrown_) {
            bool any_waits = false;
            for (std::size_t place = 0; place < list_.size(); ++place) {
                if (states_[place] != State::waits) {
                    continue;
                }
                any_waits = true;
                const std::vector<std::size_t>& after = list_[place].after;
                if (std::all_of(after.begin(), after.end(),
                                [&](std::size_t other) { return has_ended(other); })) {
                    states_[place] = State::runs;
                    return place;
                }
            }
            if (!any_waits) {
                break;
            }
            ended_.wait(lock);
        }
        return std::nullopt;
    }

    void take_turns(bool beside) {
        std::unique_lock lock(mutex_);
        while (const std::optional<std::size_t> place = take(lock)) {
            std::vector<std::string> failed;
            for (const std::size_t other : list_[*place].after) {
                if (states_[other] == State::failed) {
                    failed.push_back(list_[other].name);
                }
            }
            lock.unlock();
            bool succeeded = false;
            std::exception_ptr thrown;
            try {
                check_cancellation();
                succeeded = perform(*place, failed, beside);
            } catch (...) {
                thrown = std::current_exception();
            }
            lock.lock();
            states_[*place] = succeeded ? State::succeeded : State::failed;
            if (thrown && !thrown_) {
                thrown_ = thrown;
            }
            ended_.notify_all();
        }
    }

    bool perform(std::size_t place, const std::vector<std::string>& failed, bool beside) {
        NamedProgress named(machine_.progress, progress_mutex_, list_[place].name);
        Machine own = machine_.saying_to(beside ? named : machine_.progress);
        own.changes = machine_.changes == nullptr ? nullptr : &told_[place].changes;
        own.audited = machine_.audited == nullptr ? nullptr : &told_[place].audited;
        for (const std::string& other : failed) {
            own.progress.warning("'" + other + "' failed, and '" + list_[place].name +
                                 "' comes after it (AFTER)");
        }
        return work_(own, place);
    }

    void put_together() {
        for (Told& told : told_) {
            if (machine_.changes != nullptr) {
                std::move(told.changes.words.begin(), told.changes.words.end(),
                          std::back_inserter(machine_.changes->words));
                std::move(told.changes.texts.begin(), told.changes.texts.end(),
                          std::back_inserter(machine_.changes->texts));
            }
            if (machine_.audited != nullptr) {
                std::move(told.audited.begin(), told.audited.end(),
                          std::back_inserter(*machine_.audited));
            }
        }
    }

    Machine& machine_;
    const std::vector<Work>& list_;
    const std::function<bool(Machine&, std::size_t)>& work_;
    std::mutex progress_mutex_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::vector<State> states_;  // guarded by mutex_
    std::exception_ptr thrown_;  // guarded by mutex_
    std::vector<Told> told_;     // each its work's own until that has ended
};

// Whether one waits for the other, directly or through others of those that are left.
bool waits_for(const std::vector<Work>& list, std::size_t from, std::size_t other) {
    std::set<std::size_t> seen;
    std::vector<std::size_t> open = list[from].after;
    while (!open.empty()) {
        const std::size_t place = open.back();
        open.pop_back();
        if (place == other) {
            return true;
        }
        if (seen.insert(place).second) {
            open.insert(open.end(), list[place].after.begin(), list[place].after.end());
        }
    }
    return false;
}

}  // namespace

void work_side_by_side(Machine& machine, const std::vector<Work>& list, unsigned jobs,
                       const std::function<bool(Machine&, std::size_t)>& work) {
    SideBySide(machine, list, work).run(jobs);
}

void tell_failure(Machine& machine, const std::string& subject, const Error& error) {
    machine.progress.warning("'" + subject + "': " + error.what());
    if (!error.next().empty()) {
        machine.progress.note("next: " + error.next());
    }
}

ServiceOrder order_services(const std::vector<ServiceName>& names,
                            const std::vector<std::vector<std::string>>& after) {
    ServiceOrder order;
    for (std::size_t place = 0; place < names.size(); ++place) {
        Work work{names[place].text()};
        for (std::size_t other = 0; other < names.size(); ++other) {
            const std::vector<std::string>& wanted = after[place];
            if (other != place &&
                std::find(wanted.begin(), wanted.end(), names[other].text()) != wanted.end()) {
                work.after.push_back(other);
            }
        }
        order.list.push_back(std::move(work));
    }
    for (std::size_t place = 0; place < order.list.size(); ++place) {
        std::vector<std::string> circle;
        std::erase_if(order.list[place].after, [&](std::size_t other) {
            if (!waits_for(order.list, other, place)) {
                return false;
            }
            circle.push_back("'" + order.list[other].name + "'");
            return true;
        });
        if (!circle.empty()) {
            order.cycles.push_back("'" + order.list[place].name + "' and " + join(circle, ", ") +
                                   " come after each other (AFTER); '" + order.list[place].name +
                                   "' goes first");
        }
    }
    return order;
}

std::vector<std::vector<std::string>> installed_after(const Machine& machine,
                                                      const std::vector<ServiceName>& names) {
    std::vector<std::vector<std::string>> after;
    for (const ServiceName& name : names) {
        after.emplace_back();
        try {
            if (const std::optional<Manifest> manifest = Catalog(machine.paths).find(name)) {
                after.back() = manifest->release().config.after;
            }
        } catch (const Error&) {
            continue;  // the work on it says what is wrong
        }
    }
    return after;
}

}  // namespace drunner
