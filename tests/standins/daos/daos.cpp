// Stands where the command daos does: see README.md. It is not DAOS.

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "wire.hpp"

namespace standin {
namespace {

constexpr int refused = 1;
constexpr int not_understood = 2;
constexpr std::chrono::seconds patience{20};

// What the agent said no to.
struct Refusal {
    int code = refused;
    std::string why;
};

// What follows "ok ". Throws Refusal.
std::string ask(const std::string& request) {
    const char* directory = std::getenv("DAOS_AGENT_DRPC_DIR");
    const Socket agent = connect_to(
        std::string(directory == nullptr ? "/var/run/daos_agent" : directory) + "/daos_agent.sock");
    write_line(agent, request);
    const std::string answer = read_line(agent, patience);
    if (answer == "ok" || answer.starts_with("ok ")) {
        return answer.size() > 3 ? answer.substr(3) : std::string();
    }
    Refusal refusal{refused, answer.empty() ? "the agent does not answer" : answer};
    constexpr std::string_view error = "error ";
    if (answer.starts_with(error)) {
        const char* code = answer.data() + error.size();
        const char* end = answer.data() + answer.size();
        const auto [stop, problem] = std::from_chars(code, end, refusal.code);
        refusal.why = problem == std::errc() && stop < end ? std::string(stop + 1, end) : answer;
    }
    throw refusal;
}

void autotest(const std::string& pool) {
    const std::string handle = ask("connect " + pool);
    std::cout << "Connected to pool '" << pool << "' as " << ask("whoami") << "\n";
    ask("disconnect " + handle);
    std::cout << "Disconnected from pool '" << pool << "'\n"
              << "PASS (stand-in: no storage was touched)\n";
}

[[noreturn]] void hold(const std::string& pool) {
    std::cout << ask("connect " + pool) << std::endl;
    while (true) {
        pause();
    }
}

int run(const std::vector<std::string>& words) {
    const std::string group = words.empty() ? "" : words[0];
    const std::string verb = words.size() < 2 ? "" : words[1];
    if (group == "version" && words.size() == 1) {
        std::cout << "daos version 0, a stand-in\n";
    } else if (group == "pool" && verb == "autotest" && words.size() == 3) {
        autotest(words[2]);
    } else if (group == "pool" && verb == "query" && words.size() == 3) {
        ask("disconnect " + ask("connect " + words[2]));
        std::cout << "Pool '" << words[2] << "' is a name\n";
    } else if (group == "standin" && verb == "whoami" && words.size() == 2) {
        std::cout << ask("whoami") << "\n";
    } else if (group == "standin" && verb == "hold" && words.size() == 3) {
        hold(words[2]);
    } else {
        std::cerr
            << "daos (stand-in): pool autotest|query POOL, standin whoami, standin hold POOL, "
               "version\n";
        return not_understood;
    }
    return 0;
}

}  // namespace
}  // namespace standin

int main(int count, char** words) {
    try {
        return standin::run({words + 1, words + count});
    } catch (const standin::Refusal& refusal) {
        std::cerr << "daos (stand-in): " << refusal.why << "\n";
        return refusal.code;
    } catch (const std::exception& error) {
        std::cerr << "daos (stand-in): " << error.what() << "\n";
        return standin::refused;
    }
}
