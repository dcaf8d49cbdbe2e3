#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "program.hpp"
#include "wire.hpp"

namespace standin {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// A node counts as there for so many intervals after it was heard of.
constexpr int intervals_to_live = 3;
constexpr int look_milliseconds = 200;
constexpr std::size_t largest_request = 10240000;

// Jobs and nodes live in memory only: a server that is started again knows none.
class Server {
  public:
    explicit Server(const Options& options)
        : options_(options), authentication_(authentication_of(options, "server", "client")) {}

    void run();

  private:
    struct Node {
        Clock::time_point expires;
    };
    struct Job {
        json request;
        json record;
        Clock::time_point began = Clock::now();
    };

    void serve(const Socket& listener, const std::function<void(Socket)>& talk);
    void beat(Socket client);
    void hand_out_jobs(Socket client);
    void hand_out_file(Socket client);
    void answer_user(Socket user);

    json manage(const std::string& word);
    std::string accept_job(json request);
    // Both with the lock held.
    void dispatch(json request);
    void record_result(const std::string& id, const std::string& node, const json& result);
    json listed(const Job& job) const;
    void drop_dead_nodes();

    json next_job(const Socket& client, const std::string& identity);
    void log(const std::string& text) const { std::cout << text + "\n"; }

    const Options options_;
    const Authentication authentication_;
    std::mutex mutex_;
    std::condition_variable more_jobs_;
    std::map<std::string, Node> nodes_;
    std::map<std::string, Job> jobs_;
    std::vector<std::string> order_;
    std::map<std::string, std::deque<std::string>> queues_;
    // Jobs for everybody that came while nobody was there.
    std::deque<json> waiting_;
};

std::string new_id() {
    std::ifstream file("/proc/sys/kernel/random/uuid");
    std::string id;
    std::getline(file, id);
    return id;
}

void Server::serve(const Socket& listener, const std::function<void(Socket)>& talk) {
    while (true) {
        // A stranger's connection ends alone.
        std::thread([this, talk, client = accept_from(listener)]() mutable {
            try {
                talk(std::move(client));
            } catch (const std::exception& error) {
                log(std::string("closed: ") + error.what());
            }
        }).detach();
    }
}

void Server::beat(Socket client) {
    const std::string identity = admit(client, authentication_);
    while (true) {
        read_frame(client);
        {
            const std::lock_guard lock(mutex_);
            const auto interval = std::chrono::seconds(options_.heartbeat_interval);
            if (nodes_.find(identity) == nodes_.end()) {
                log(identity + " is online");
            }
            nodes_[identity].expires = Clock::now() + intervals_to_live * interval;
            while (!waiting_.empty()) {
                dispatch(waiting_.front());
                waiting_.pop_front();
            }
        }
        if (options_.debug) {
            log("heartbeat from " + identity);
        }
        write_frame(client, "{}");
        while (!readable(client, options_.heartbeat_interval * 1000)) {
        }
    }
}

// Waits until there is a job for the node; null when its connection is at its end.
json Server::next_job(const Socket& client, const std::string& identity) {
    std::unique_lock lock(mutex_);
    while (true) {
        // It never speaks unasked.
        if (readable(client, 0)) {
            return nullptr;
        }
        std::deque<std::string>& queue = queues_[identity];
        if (!queue.empty()) {
            Job& job = jobs_.at(queue.front());
            queue.pop_front();
            job.record["PROCESSING"] = true;
            return job.request;
        }
        more_jobs_.wait_for(lock, std::chrono::milliseconds(look_milliseconds));
    }
}

void Server::hand_out_jobs(Socket client) {
    const std::string identity = admit(client, authentication_);
    for (json job; !(job = next_job(client, identity)).is_null();) {
        const std::string id = job.at("task");
        json result;
        try {
            write_frame(client, job.dump());
            while (!readable(client, look_milliseconds)) {
            }
            result = json::parse(read_frame(client));
        } catch (const std::exception&) {
            result = {{"success", false}, {"info", "the client went away"}};
        }
        const std::lock_guard lock(mutex_);
        record_result(id, identity, result);
    }
}

void Server::hand_out_file(Socket client) {
    const std::string identity = admit(client, authentication_);
    const json wanted = json::parse(read_frame(client));
    const std::string path = wanted.at("path");
    {
        // Only what a job of this node names.
        const std::lock_guard lock(mutex_);
        const auto found = jobs_.find(wanted.at("task"));
        const json none = json::array();
        const json& nodes = found == jobs_.end() ? none : found->second.record.at("NODES");
        const json files = found == jobs_.end() ? none : found->second.request.value("from", none);
        if (std::find(nodes.begin(), nodes.end(), identity) == nodes.end() ||
            std::find(files.begin(), files.end(), path) == files.end()) {
            throw std::runtime_error(identity + " asked for a file of no job of it: " + path);
        }
    }
    std::ifstream file(path, std::ios::binary);
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!file || error) {
        write_frame(client, json{{"error", "File was not found. File path: " + path}}.dump());
        return;
    }
    write_frame(client, json{{"size", size}}.dump());
    std::array<char, 65536> chunk{};
    for (std::uintmax_t left = size; left > 0;) {
        file.read(chunk.data(),
                  static_cast<std::streamsize>(std::min<std::uintmax_t>(chunk.size(), left)));
        const auto count = static_cast<std::size_t>(file.gcount());
        if (count == 0) {
            throw std::runtime_error(path + " is shorter than it was");
        }
        write_all(client, {chunk.data(), count});
        left -= count;
    }
}

void Server::dispatch(json request) {
    const std::string id = request.at("task");
    Job job;
    std::vector<std::string> targets;
    for (const auto& [name, node] : nodes_) {
        const bool wanted = !request.contains("target") || request.at("target") == name;
        if (wanted && node.expires > Clock::now()) {
            targets.push_back(name);
        }
    }
    job.record = {{"ACCEPTED", true},       {"VERB", request.at("verb")}, {"NODES", targets},
                  {"PROCESSING", false},    {"SUCCESS", json::array()},   {"FAILED", json::array()},
                  {"INFO", json::object()}, {"EXECUTION_TIME", 0.0}};
    job.request = std::move(request);
    jobs_.insert_or_assign(id, std::move(job));
    order_.push_back(id);
    for (const std::string& target : targets) {
        queues_[target].push_back(id);
    }
    more_jobs_.notify_all();
}

void Server::record_result(const std::string& id, const std::string& node, const json& result) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) {
        return;  // purged meanwhile
    }
    json& record = found->second.record;
    record[result.value("success", false) ? "SUCCESS" : "FAILED"].push_back(node);
    record["INFO"][node] = result.value("info", "");
    record["EXECUTION_TIME"] = Seconds(Clock::now() - found->second.began).count();
    record["PROCESSING"] =
        record["SUCCESS"].size() + record["FAILED"].size() < record["NODES"].size();
}

// What a user sees of a job. Director told no nodes apart.
json Server::listed(const Job& job) const {
    if (!options_.is_director()) {
        return job.record;
    }
    json shown = {{"ACCEPTED", true}, {"INFO", job.record.at("INFO").dump()}};
    if (!job.record.at("FAILED").empty()) {
        shown["FAILED"] = true;
    } else if (job.record.at("SUCCESS").size() == job.record.at("NODES").size() &&
               !job.record.at("NODES").empty()) {
        shown["SUCCESS"] = true;
    }
    return shown;
}

// Director forgets a node that is gone, Directord lists it with an expiry in the past.
void Server::drop_dead_nodes() {
    for (auto one = nodes_.begin(); options_.is_director() && one != nodes_.end();) {
        one = one->second.expires < Clock::now() ? nodes_.erase(one) : std::next(one);
    }
}

json Server::manage(const std::string& word) {
    const std::lock_guard lock(mutex_);
    json answer = json::array();
    if (word == "list-nodes") {
        drop_dead_nodes();
        for (const auto& [name, node] : nodes_) {
            const double left = Seconds(node.expires - Clock::now()).count();
            answer.push_back(options_.is_director() ? json(name) : json{name, {{"expiry", left}}});
        }
    } else if (word == "list-jobs") {
        for (const std::string& id : order_) {
            answer.push_back({id, listed(jobs_.at(id))});
        }
    } else if (word == "purge-nodes") {
        nodes_.clear();
        answer = {{"success", true}};
    } else if (word == "purge-jobs") {
        jobs_.clear();
        order_.clear();
        queues_.clear();
        waiting_.clear();
        answer = {{"success", true}};
    } else {
        answer = {{"failed", true}};
    }
    return answer;
}

std::string Server::accept_job(json request) {
    if (!request.contains("task")) {
        request["task"] = new_id();
    }
    const std::string id = request.at("task");
    const std::lock_guard lock(mutex_);
    const bool anybody = std::any_of(nodes_.begin(), nodes_.end(), [](const auto& one) {
        return one.second.expires > Clock::now();
    });
    if (anybody) {
        dispatch(request);
    } else {
        waiting_.push_back(request);
    }
    log("job " + id + ": " + request.at("verb").get<std::string>());
    if (request.value("return_raw", false)) {
        return id;
    }
    return (options_.is_director() ? "Job recieved. Task ID: " : "Job received. Task ID: ") + id;
}

// One JSON document, which its end completes: the user need not close anything.
void Server::answer_user(Socket user) {
    std::string text;
    json request;
    do {
        std::array<char, 65536> chunk{};
        const ssize_t count = ::read(user.get(), chunk.data(), chunk.size());
        if (count <= 0 || text.size() > largest_request) {
            return;
        }
        text.append(chunk.data(), static_cast<std::size_t>(count));
        request = json::parse(text, nullptr, false);
    } while (request.is_discarded());
    if (request.is_object() && request.contains("manage")) {
        write_all(user, manage(request.at("manage")).dump());
    } else if (request.is_object() && request.contains("verb")) {
        write_all(user, accept_job(request));
    } else {
        write_all(user, json{{"failed", true}}.dump());
    }
}

void Server::run() {
    const Socket jobs = listen_tcp(options_.bind_address, options_.job_port);
    const Socket files = listen_tcp(options_.bind_address, options_.transfer_port);
    const Socket beats = listen_tcp(options_.bind_address, options_.heartbeat_port);
    const Socket users = listen_unix(options_.socket_path);
    log("ports " + std::to_string(options_.job_port) + ", " +
        std::to_string(options_.transfer_port) + ", " + std::to_string(options_.heartbeat_port) +
        ", users at " + options_.socket_path);
    std::thread([&] { serve(beats, [this](Socket one) { beat(std::move(one)); }); }).detach();
    std::thread([&] {
        serve(jobs, [this](Socket one) { hand_out_jobs(std::move(one)); });
    }).detach();
    std::thread([&] {
        serve(files, [this](Socket one) { hand_out_file(std::move(one)); });
    }).detach();
    serve(users, [this](Socket one) { answer_user(std::move(one)); });
}

}  // namespace

void run_server(const Options& options) {
    Server(options).run();
}

}  // namespace standin
