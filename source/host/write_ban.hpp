#pragma once

#include <string>

namespace drunner {

// While one of these lives, everything in host/ that would change a file, take a lock or make a
// directory throws Error(system) instead, in all threads: what `--check` stands on, whatever an
// operation forgets. The operations themselves do not come that far. May be nested.
class WriteBan {
  public:
    WriteBan();
    ~WriteBan();
    WriteBan(const WriteBan&) = delete;
    WriteBan& operator=(const WriteBan&) = delete;

    // Throws while a ban stands.
    static void require_none(const std::string& path);
};

}  // namespace drunner
