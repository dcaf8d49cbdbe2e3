#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "program.hpp"
#include "wire.hpp"

namespace standin {
namespace {

using nlohmann::json;

constexpr std::size_t most_output = 65536;
constexpr auto retry = std::chrono::seconds(1);

class Client {
  public:
    explicit Client(const Options& options)
        : options_(options),
          authentication_(authentication_of(options, "client", "server")),
          identity_(host_name()) {}

    void run();

  private:
    static std::string host_name();
    Socket connect(int port) const;
    void beat() const;
    void work();
    json do_job(const json& job);
    json run_command(std::string command) const;
    json fetch_files(const json& job) const;
    void fetch(const json& job, const std::string& from, const std::filesystem::path& to) const;

    const Options options_;
    const Authentication authentication_;
    const std::string identity_;
    std::map<std::string, std::string> arguments_;
};

std::string Client::host_name() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

Socket Client::connect(int port) const {
    Socket server = connect_tcp(options_.server_address, port);
    introduce(server, authentication_, identity_);
    return server;
}

void Client::beat() const {
    const Socket server = connect(options_.heartbeat_port);
    std::cout << identity_ + " is admitted by " + options_.server_address + "\n";
    while (true) {
        write_frame(server, "{}");
        read_frame(server);
        std::this_thread::sleep_for(std::chrono::seconds(options_.heartbeat_interval));
    }
}

json Client::run_command(std::string command) const {
    for (const auto& [name, value] : arguments_) {
        const std::string word = "{{ " + name + " }}";
        for (std::size_t at = command.find(word); at != std::string::npos;
             at = command.find(word, at + value.size())) {
            command.replace(at, word.size(), value);
        }
    }
    FILE* pipe = ::popen(("exec 2>&1 </dev/null\n" + command).c_str(), "re");
    if (pipe == nullptr) {
        return {{"success", false}, {"info", "there is no shell"}};
    }
    std::string output;
    std::array<char, 4096> chunk{};
    for (std::size_t count = 0; (count = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
        output.append(chunk.data(), std::min(count, most_output - output.size()));
    }
    return {{"success", ::pclose(pipe) == 0}, {"info", output}};
}

// A user or group as a number or a name of this machine.
template <typename Entry>
unsigned number_of(const std::string& text, Entry* (*find)(const char*), unsigned Entry::*number) {
    if (text.find_first_not_of("0123456789") == std::string::npos) {
        return text.empty() ? static_cast<unsigned>(-1) : static_cast<unsigned>(std::stoul(text));
    }
    const Entry* entry = find(text.c_str());
    if (entry == nullptr) {
        throw std::runtime_error("nobody is called " + text);
    }
    return entry->*number;
}

void Client::fetch(const json& job, const std::string& from,
                   const std::filesystem::path& to) const {
    const Socket server = connect(options_.transfer_port);
    write_frame(server, json{{"task", job.at("task")}, {"path", from}}.dump());
    const json answer = json::parse(read_frame(server));
    if (answer.contains("error")) {
        throw std::runtime_error(answer.at("error").get<std::string>());
    }
    const std::string beside = to.string() + ".transfer";
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    for (std::uintmax_t left = answer.at("size"); left > 0;) {
        const std::size_t count = std::min<std::uintmax_t>(left, most_output);
        const std::string bytes = read_exactly(server, count);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        left -= count;
    }
    file.close();
    if (!file ||
        ::chown(beside.c_str(), number_of(job.value("user", ""), getpwnam, &passwd::pw_uid),
                number_of(job.value("group", ""), getgrnam, &group::gr_gid)) != 0) {
        throw std::runtime_error("cannot write " + to.string());
    }
    std::filesystem::rename(beside, to);
}

json Client::fetch_files(const json& job) const {
    const std::string to = job.at("to");
    for (const std::string from : job.at("from")) {
        const bool below = options_.is_director() || to.back() == '/' || job.at("from").size() > 1;
        const std::filesystem::path name = std::filesystem::path(from).filename();
        fetch(job, from, below ? std::filesystem::path(to) / name : std::filesystem::path(to));
    }
    return {{"success", true}, {"info", to}};
}

json Client::do_job(const json& job) {
    const std::string verb = job.at("verb");
    try {
        if (verb == "RUN") {
            return run_command(job.at("command"));
        }
        if (verb == "WORKDIR") {
            std::filesystem::create_directories(job.at("workdir").get<std::string>());
            return {{"success", true}, {"info", job.at("workdir")}};
        }
        if (verb == "ADD" || verb == "COPY") {
            return fetch_files(job);
        }
        for (const auto& [name, value] : job.at("values").items()) {
            const std::string text = value;
            arguments_[name] = text;
            if (verb == "ENV") {
                ::setenv(name.c_str(), text.c_str(), 1);
            }
        }
        return {{"success", true}, {"info", ""}};
    } catch (const std::exception& error) {
        return {{"success", false}, {"info", error.what()}};
    }
}

void Client::work() {
    const Socket server = connect(options_.job_port);
    while (true) {
        while (!readable(server, -1)) {
        }
        const json job = json::parse(read_frame(server));
        std::cout << "job " + job.at("task").get<std::string>() + ": " +
                         job.at("verb").get<std::string>() + "\n";
        // Output that is not text is still told.
        write_frame(server, do_job(job).dump(-1, ' ', false, json::error_handler_t::replace));
    }
}

void Client::run() {
    const auto forever = [](const auto& part) {
        std::string told;
        while (true) {
            try {
                part();
            } catch (const std::exception& error) {
                // Once, however often it is tried again.
                if (told != error.what()) {
                    told = error.what();
                    std::cout << told + "\n";
                }
            }
            std::this_thread::sleep_for(retry);
        }
    };
    std::thread beats([&] { forever([this] { beat(); }); });
    forever([this] { work(); });
}

}  // namespace

void run_client(const Options& options) {
    Client(options).run();
}

}  // namespace standin
