#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace drunner {

// What an operation says while it works. Everything goes to stderr; results are returned, not
// said. Implementations: terminal, plain lines, silent (cli/), recording (tests).
class Progress {
  public:
    virtual ~Progress() = default;

    virtual void note(std::string_view text) = 0;     // what was done or decided; not with -q
    virtual void warning(std::string_view text) = 0;  // always shown
    virtual void detail(std::string_view text) = 0;   // only with -v

    // Output of a hook, as it came, stdout and stderr together.
    virtual void script_output(std::string_view bytes) = 0;

    // The current figure of a long activity; total is 0 where it is unknown. `unit` is "B" or a
    // noun in the plural. Use Activity, which throttles and ends it.
    virtual void advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                         std::string_view unit) = 0;
    virtual void end(std::string_view activity) = 0;
};

// A piece of long work that is shown as long as this object lives.
class Activity {
  public:
    Activity(Progress& progress, std::string name, std::uint64_t total = 0, std::string unit = "B");
    ~Activity();
    Activity(const Activity&) = delete;
    Activity& operator=(const Activity&) = delete;

    // Sets the figure; cheap enough to call for every block.
    void at(std::uint64_t done, std::uint64_t total);
    void add(std::uint64_t more) { at(done_ + more, total_); }

  private:
    Progress& progress_;
    std::string name_;
    std::string unit_;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
    std::int64_t last_shown_ms_ = 0;
};

}  // namespace drunner
