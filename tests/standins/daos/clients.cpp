#include "clients.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

namespace standin {
namespace {

// In clock ticks since boot; 0 where there is no such process, or only its remains.
unsigned long long start_time_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    // The second field is the program's name in parentheses and may hold anything.
    const std::size_t name_end = text.rfind(')');
    char state = 'X';
    unsigned long long start_time = 0;
    if (name_end == std::string::npos ||
        std::sscanf(text.c_str() + name_end + 1,
                    " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                    "%llu",
                    &state, &start_time) != 2 ||
        state == 'Z' || state == 'X') {
        return 0;
    }
    return start_time;
}

}  // namespace

std::string account_name(const char* file, unsigned id) {
    std::ifstream accounts(file);
    const std::string number = std::to_string(id);
    for (std::string line; std::getline(accounts, line);) {
        std::istringstream fields(line);
        std::string name;
        std::string password;
        std::string its_number;
        if (std::getline(fields, name, ':') && std::getline(fields, password, ':') &&
            std::getline(fields, its_number, ':') && its_number == number) {
            return name;
        }
    }
    return number;
}

std::string Clients::connect(pid_t pid, const std::string& pool) {
    const unsigned long long start_time = start_time_of(pid);
    if (start_time == 0) {
        return {};
    }
    const std::string handle = "h" + std::to_string(++last_);
    handles_[handle] = {pid, start_time, pool};
    return handle;
}

bool Clients::disconnect(pid_t pid, const std::string& handle) {
    const auto found = handles_.find(handle);
    if (found == handles_.end() || found->second.pid != pid) {
        return false;
    }
    handles_.erase(found);
    return true;
}

void Clients::evict(const std::function<void(const std::string&)>& tell) {
    std::erase_if(handles_, [&](const auto& entry) {
        const Handle& handle = entry.second;
        const bool gone = start_time_of(handle.pid) != handle.start_time;
        if (gone) {
            tell("evicted handle " + entry.first + " of pool '" + handle.pool + "': process " +
                 std::to_string(handle.pid) + " is gone");
        }
        return gone;
    });
}

}  // namespace standin
