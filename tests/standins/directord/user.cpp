#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "program.hpp"
#include "wire.hpp"

namespace standin {
namespace {

using nlohmann::json;

constexpr int usage_code = 2;
constexpr auto poll_limit = std::chrono::seconds(240);
constexpr auto poll_pause = std::chrono::milliseconds(100);

// Sends one document, and reads to the end.
std::string ask(const Options& options, const json& request) {
    const Socket server = connect_unix(options.socket_path);
    write_all(server, request.dump());
    std::string answer;
    std::array<char, 4096> chunk{};
    for (ssize_t count = 0; (count = ::read(server.get(), chunk.data(), chunk.size())) > 0;) {
        answer.append(chunk.data(), static_cast<std::size_t>(count));
    }
    return answer;
}

// ---- jobs
// ----------------------------------------------------------------------------------------

std::vector<std::string> split_words(const std::vector<std::string>& texts) {
    std::vector<std::string> words;
    for (const std::string& text : texts) {
        std::istringstream stream(text);
        for (std::string word; stream >> word;) {
            words.push_back(word);
        }
    }
    return words;
}

std::string join(const std::vector<std::string>& words, std::size_t from) {
    std::string text;
    for (std::size_t at = from; at < words.size(); ++at) {
        text += (at == from ? "" : " ") + words[at];
    }
    return text;
}

std::vector<std::string> files_of(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> files;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        for (std::size_t at = 0; at < found.gl_pathc; ++at) {
            if (std::filesystem::is_regular_file(found.gl_pathv[at])) {
                files.push_back(std::filesystem::absolute(found.gl_pathv[at]));
            }
        }
    }
    ::globfree(&found);
    return files;
}

// A line of the user's language as the server takes it.
json job_of(const std::string& verb, const std::vector<std::string>& execute) {
    std::vector<std::string> words = split_words(execute);
    json job = {{"verb", verb}};
    if (verb == "RUN") {
        job["command"] = join(words, 0);
    } else if (verb == "WORKDIR" && words.size() == 1) {
        job["workdir"] = words[0];
    } else if ((verb == "ARG" || verb == "ENV") && words.size() >= 2) {
        job["values"] = {{words[0], join(words, 1)}};
    } else if (verb == "ADD" || verb == "COPY") {
        if (!words.empty() && words[0].rfind("--chown=", 0) == 0) {
            const std::string owner = words[0].substr(words[0].find('=') + 1);
            const std::size_t colon = owner.find(':');
            job["user"] = owner.substr(0, colon);
            job["group"] = colon == std::string::npos ? "" : owner.substr(colon + 1);
            words.erase(words.begin());
        }
        if (words.size() != 2) {
            throw Refusal{verb + " takes FROM and TO.", 1};
        }
        job["from"] = files_of(words[0]);
        job["to"] = words[1];
        if (job["from"].empty()) {
            throw Refusal{"The value of [ " + words[0] + " ] was not found.", 1};
        }
    } else {
        throw Refusal{"No known verb defined.", 1};
    }
    return job;
}

struct Wishes {
    bool poll = false;
    bool check = false;
    std::vector<std::string> targets;
};

// Sends the job once for each target, or once for everybody; the ids that the server gave.
void send(const Options& options, json job, const Wishes& wishes, std::vector<std::string>& ids) {
    job["return_raw"] = wishes.poll;
    if (wishes.targets.empty()) {
        ids.push_back(ask(options, job));
    }
    for (const std::string& target : wishes.targets) {
        job["target"] = target;
        ids.push_back(ask(options, job));
    }
}

// Waits for the end of a job: false where it failed. What never ends, or nobody took, is told and
// is no failure: so does the program that this one stands for.
bool poll_job(const Options& options, const std::string& id) {
    const auto end = std::chrono::steady_clock::now() + poll_limit;
    while (std::chrono::steady_clock::now() < end) {
        const json jobs = json::parse(ask(options, {{"manage", "list-jobs"}}));
        for (const json& one : jobs) {
            const json& record = one.at(1);
            if (one.at(0) != id || record.value("PROCESSING", false)) {
                continue;
            }
            if (record.at("NODES").empty()) {
                std::cout << "Job in an unknown state: " << id << '\n';
                return true;
            }
            if (!record.at("FAILED").empty()) {
                std::cout << "Job Failed: " << id << '\n';
                return false;
            }
            if (!record.at("SUCCESS").empty()) {
                std::cout << "Job Success: " << id << '\n';
                return true;
            }
        }
        std::this_thread::sleep_for(poll_pause);
    }
    std::cout << "Job in an unknown state: " << id << '\n';
    return true;
}

int finish(const Options& options, const std::vector<std::string>& ids, const Wishes& wishes) {
    bool good = true;
    for (const std::string& id : ids) {
        if (wishes.poll) {
            good = poll_job(options, id) && good;
        } else {
            std::cout << id << '\n';
        }
    }
    if (wishes.check && !good) {
        std::cout << "FAILED JOBS\n";
        return 1;
    }
    return 0;
}

// Takes what exec and orchestrate both know; what is left are their own words. A word with a dash
// in front that nobody knows is an error, as it is where quoting got lost.
std::vector<std::string> take_wishes(const Options& options, Wishes& wishes, std::string* verb) {
    std::vector<std::string> rest;
    const std::vector<std::string>& words = options.words;
    for (std::size_t at = 0; at < words.size(); ++at) {
        const bool more = at + 1 < words.size();
        if (words[at] == "--poll" && !options.is_director()) {
            wishes.poll = true;
        } else if (words[at] == "--check" && !options.is_director()) {
            wishes.check = true;
        } else if (words[at] == "--target" && more) {
            wishes.targets.push_back(words[++at]);
        } else if (words[at] == "--verb" && verb != nullptr && more) {
            *verb = words[++at];
        } else if (words[at].size() > 1 && words[at].front() == '-' &&
                   words[at].find(' ') == std::string::npos) {
            throw Refusal{"unrecognized arguments: " + words[at], usage_code};
        } else {
            rest.push_back(words[at]);
        }
    }
    if (rest.empty() || (verb != nullptr && verb->empty())) {
        throw Refusal{"the following arguments are required: " +
                          std::string(verb == nullptr ? "orchestrate_files" : "--verb, exec"),
                      usage_code};
    }
    return rest;
}

int run_exec(const Options& options) {
    Wishes wishes;
    std::string verb;
    const std::vector<std::string> execute = take_wishes(options, wishes, &verb);
    std::vector<std::string> ids;
    send(options, job_of(verb, execute), wishes, ids);
    return finish(options, ids, wishes);
}

// ---- orchestrations
// ------------------------------------------------------------------------------

std::string trimmed(std::string text) {
    text.erase(0, text.find_first_not_of(" \t"));
    text.erase(text.find_last_not_of(" \t\r") + 1);
    if (text.size() >= 2 && text.front() == text.back() &&
        (text.front() == '"' || text.front() == '\'')) {
        text = text.substr(1, text.size() - 2);
    }
    return text;
}

// The form that the documents show: a list of mappings with "jobs", a list of VERB: TEXT, and
// perhaps "targets", a list of nodes. Any other YAML is refused.
void send_orchestration(const Options& options, const std::string& path, const Wishes& wishes,
                        std::vector<std::string>& ids) {
    std::ifstream file(path);
    if (!file) {
        throw Refusal{"The [ " + path + " ] file was not found.", 1};
    }
    std::vector<std::pair<std::string, std::string>> jobs;
    Wishes now = wishes;
    const auto send_all = [&] {
        for (const auto& [verb, text] : jobs) {
            send(options, job_of(verb, {text}), now, ids);
        }
        jobs.clear();
        now = wishes;
    };
    bool in_jobs = false;
    for (std::string line; std::getline(file, line);) {
        std::string text = trimmed(line);
        if (text.empty() || text.front() == '#' || text == "---") {
            continue;
        }
        if (line.front() == '-') {
            send_all();
        }
        const bool item = text.rfind("- ", 0) == 0;
        if (item) {
            text = trimmed(text.substr(2));
        }
        if (text == "jobs:" || text == "targets:") {
            in_jobs = text == "jobs:";
        } else if (item && in_jobs && text.find(": ") != std::string::npos) {
            const std::size_t colon = text.find(": ");
            jobs.emplace_back(text.substr(0, colon), trimmed(text.substr(colon + 2)));
        } else if (item && !in_jobs) {
            if (wishes.targets.empty()) {
                now.targets.push_back(text);
            }
        } else {
            throw Refusal{path + ": this stand-in does not understand: " + line, 1};
        }
    }
    send_all();
}

int run_orchestrate(const Options& options) {
    Wishes wishes;
    const std::vector<std::string> files = take_wishes(options, wishes, nullptr);
    std::vector<std::string> ids;
    for (const std::string& path : files) {
        send_orchestration(options, std::filesystem::absolute(path), wishes, ids);
    }
    return finish(options, ids, wishes);
}

// ---- management
// ----------------------------------------------------------------------------------

std::string cell(const json& record, const std::string& name) {
    const json value = record.value(name, json(0));
    if (value.is_array()) {
        return std::to_string(value.size());
    }
    if (value.is_number_float()) {
        std::ostringstream text;
        text << std::fixed << std::setprecision(2) << value.get<double>();
        return text.str();
    }
    if (value.is_boolean()) {
        return value.get<bool>() ? "True" : "0";
    }
    return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_table(const json& items, const std::vector<std::string>& names) {
    std::vector<std::vector<std::string>> rows{{"ID"}};
    rows[0].insert(rows[0].end(), names.begin(), names.end());
    for (const json& item : items) {
        std::vector<std::string> row{item.at(0)};
        for (const std::string& name : names) {
            row.push_back(cell(item.at(1), name == "EXPIRY" ? "expiry" : name));
        }
        rows.push_back(row);
    }
    std::vector<std::size_t> widths(names.size() + 1);
    for (const auto& row : rows) {
        for (std::size_t at = 0; at < row.size(); ++at) {
            widths[at] = std::max(widths[at], row[at].size());
        }
    }
    for (std::size_t line = 0; line < rows.size(); ++line) {
        for (std::size_t at = 0; at < widths.size(); ++at) {
            std::cout << rows[line][at] << std::string(widths[at] - rows[line][at].size() + 2, ' ');
        }
        std::cout << '\n';
        if (line == 0) {
            for (const std::size_t width : widths) {
                std::cout << std::string(width, '-') << "  ";
            }
            std::cout << '\n';
        }
    }
    std::cout << "\nTotal Items: " << items.size() << '\n';
}

int run_manage(const Options& options) {
    std::vector<std::string> known = {"--list-jobs", "--list-nodes", "--purge-jobs",
                                      "--purge-nodes"};
    if (!options.is_director()) {
        known.emplace_back("--generate-keys");
    }
    const std::string word = options.words.size() == 1 ? options.words[0] : "";
    if (word == "--help") {
        std::cout << "manage takes one of:";
        for (const std::string& one : known) {
            std::cout << ' ' << one;
        }
        std::cout << '\n';
        return 0;
    }
    if (std::find(known.begin(), known.end(), word) == known.end()) {
        throw Refusal{"unrecognized arguments: " + (word.empty() ? "not one" : word), usage_code};
    }
    if (word == "--generate-keys") {
        generate_keys(options.configuration_directory());
        std::cout << "Keys generated. Synchronize the server and client public keys to client "
                     "nodes to enable Curve encryption.\n";
        return 0;
    }
    const std::string answer = ask(options, {{"manage", word.substr(2)}});
    if (options.is_director()) {
        std::cout << answer << '\n';
        return 0;
    }
    const json data = json::parse(answer);
    if (data.empty()) {
        throw Refusal{"No data found", 1};
    }
    if (data.is_array()) {
        print_table(data, word == "--list-nodes"
                              ? std::vector<std::string>{"EXPIRY"}
                              : std::vector<std::string>{"VERB", "EXECUTION_TIME", "PROCESSING",
                                                         "SUCCESS", "FAILED"});
    }
    return 0;
}

}  // namespace

int run_user(const Options& options) {
    if (options.mode == "exec") {
        return run_exec(options);
    }
    if (options.mode == "orchestrate") {
        return run_orchestrate(options);
    }
    if (options.mode == "manage") {
        return run_manage(options);
    }
    throw Refusal{"invalid choice: '" + options.mode + "'", usage_code};
}

}  // namespace standin
