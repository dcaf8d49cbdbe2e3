#pragma once

#include <string>
#include <vector>

#include "authentication.hpp"

namespace standin {

// What environment, command line and configuration file say, the later ones winning.
struct Options {
    // "directord" or "director": the name that the program was called by.
    std::string product;
    std::string mode;
    // The words behind the mode.
    std::vector<std::string> words;

    std::string socket_path;
    std::string server_address = "localhost";
    std::string bind_address = "*";
    std::string shared_key;
    bool curve = false;
    bool debug = false;
    int job_port = 5555;
    int transfer_port = 5556;
    int heartbeat_port = 5557;
    // Seconds.
    int heartbeat_interval = 60;

    bool is_director() const { return product == "director"; }
    // Where keys for curve lie: /etc/directord.
    std::string configuration_directory() const { return "/etc/" + product; }
};

// What cannot be understood, or is not there: told on stderr, and the exit code.
struct Refusal {
    std::string message;
    int code;
};

// How the server, or a client, authenticates with these options. Throws std::runtime_error where
// keys are missing.
Authentication authentication_of(const Options& options, const std::string& own,
                                 const std::string& peer);

// The three parts. The first two run until a signal ends the process.
void run_server(const Options& options);
void run_client(const Options& options);
// exec, orchestrate and manage: the exit code. Throws Refusal.
int run_user(const Options& options);

}  // namespace standin
