#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>

namespace standin {

// The name of an account in /etc/passwd or /etc/group, the number where there is none.
std::string account_name(const char* file, unsigned id);

// The handles that processes hold.
class Clients {
  public:
    // Empty where the process is gone already.
    std::string connect(pid_t pid, const std::string& pool);
    // False where the handle is none, or another process's.
    bool disconnect(pid_t pid, const std::string& handle);
    // Takes the handles of processes that are gone, and tells each.
    void evict(const std::function<void(const std::string&)>& tell);

  private:
    struct Handle {
        pid_t pid = 0;
        unsigned long long start_time = 0;  // with the pid it names one process for ever
        std::string pool;
    };

    std::map<std::string, Handle> handles_;
    unsigned last_ = 0;
};

}  // namespace standin
