// A stand-in for Directord and Director in tests: see README.md.
//
//   directord [SWITCHES] server|client|exec|orchestrate|manage ...

#include <signal.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "program.hpp"

namespace standin {
namespace {

constexpr int usage_code = 2;

int to_number(const std::string& name, const std::string& text) {
    if (text.empty() || text.size() > 6 ||
        text.find_first_not_of("0123456789") != std::string::npos) {
        throw Refusal{"argument --" + name + ": invalid int value: '" + text + "'", usage_code};
    }
    return std::stoi(text);
}

bool is_true(const std::string& text) {
    return text == "true" || text == "True" || text == "yes" || text == "on";
}

// One option under the name that it has on the command line and, with low lines, in the file.
struct Setting {
    std::function<void(const std::string&)> set;
    // The words of its environment variables, behind the product's name.
    std::vector<const char*> variables;
    bool has_value = true;
};

std::map<std::string, Setting> settings_of(Options& options) {
    const auto text = [](std::string& target) {
        return [&target](const std::string& value) { target = value; };
    };
    const auto number = [](int& target, const char* name) {
        return [&target, name](const std::string& value) { target = to_number(name, value); };
    };
    const auto flag = [](bool& target) {
        return [&target](const std::string& value) { target = is_true(value); };
    };
    std::map<std::string, Setting> settings = {
        {"socket-path", {text(options.socket_path), {"SOCKET_PATH"}}},
        {"job-port", {number(options.job_port, "job-port"), {"MSG_PORT", "ZMQ_JOB_PORT"}}},
        {"heartbeat-port",
         {number(options.heartbeat_port, "heartbeat-port"),
          {"HEARTBEAT_PORT", "ZMQ_HEARTBEAT_PORT"}}},
        {"heartbeat-interval",
         {number(options.heartbeat_interval, "heartbeat-interval"), {"HEARTBEAT_INTERVAL"}}},
        {"debug", {flag(options.debug), {}, false}},
        {"shared-key", {text(options.shared_key), {"SHARED_KEY", "ZMQ_SHARED_KEY"}}},
        {"curve-encryption", {flag(options.curve), {}, false}},
    };
    if (options.is_director()) {
        settings["status-port"] = {number(options.transfer_port, "status-port"), {"STATUS_PORT"}};
    } else {
        settings["transfer-port"] = {number(options.transfer_port, "transfer-port"),
                                     {"TRANSFER_PORT", "ZMQ_TRANSFER_PORT"}};
    }
    return settings;
}

std::map<std::string, Setting> settings_of_mode(Options& options) {
    if (options.mode == "server") {
        return {{"bind-address",
                 {[&options](const std::string& value) { options.bind_address = value; },
                  {"BIND_ADDRESS"}}}};
    }
    if (options.mode == "client") {
        return {{"server-address",
                 {[&options](const std::string& value) { options.server_address = value; },
                  {"SERVER_ADDRESS"}}}};
    }
    return {};
}

void read_environment(const Options& options, const std::map<std::string, Setting>& settings) {
    std::string prefix = options.product + "_";
    for (char& c : prefix) {
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    for (const auto& [name, setting] : settings) {
        for (const char* variable : setting.variables) {
            const char* value = std::getenv((prefix + variable).c_str());
            if (value != nullptr && *value != '\0') {
                setting.set(value);
            }
        }
    }
}

// Takes switches from the front until a word is none of them.
void take_switches(std::vector<std::string>& words, const std::map<std::string, Setting>& settings,
                   std::string* config_file) {
    while (!words.empty() && words.front().rfind("--", 0) == 0) {
        std::string name = words.front().substr(2);
        words.erase(words.begin());
        const std::size_t equals = name.find('=');
        const bool joined = equals != std::string::npos;
        const std::string behind = joined ? name.substr(equals + 1) : "";
        name.resize(joined ? equals : name.size());
        const auto found = settings.find(name);
        const bool is_file = config_file != nullptr && name == "config-file";
        if (found == settings.end() && !is_file) {
            throw Refusal{"unrecognized arguments: --" + name, usage_code};
        }
        std::string value = joined ? behind : "true";
        if (!joined && (is_file || found->second.has_value)) {
            if (words.empty()) {
                throw Refusal{"argument --" + name + ": expected one argument", usage_code};
            }
            value = words.front();
            words.erase(words.begin());
        }
        if (is_file) {
            *config_file = value;
        } else {
            found->second.set(value);
        }
    }
}

// A scalar of YAML: plain, or in quotes.
std::string scalar(std::string text) {
    const auto trim = [](std::string& all) {
        all.erase(0, all.find_first_not_of(" \t"));
        all.erase(all.find_last_not_of(" \t\r") + 1);
    };
    trim(text);
    if (text.size() < 2 || (text.front() != '\'' && text.front() != '"')) {
        text = text.substr(0, text.find(" #"));
        trim(text);
        return text;
    }
    const char quote = text.front();
    std::string value;
    for (std::size_t at = 1; at < text.size(); ++at) {
        if (text[at] == quote) {
            if (quote == '"' || at + 1 >= text.size() || text[at + 1] != quote) {
                break;
            }
            ++at;
        } else if (quote == '"' && text[at] == '\\' && at + 1 < text.size()) {
            ++at;
        }
        value += text[at];
    }
    return value;
}

// Lines "name: value" of a configuration; what this program does not know is none of its business.
void read_file(const std::string& path, const std::map<std::string, Setting>& settings) {
    std::ifstream file(path);
    if (!file) {
        throw Refusal{"argument --config-file: can't open '" + path + "'", usage_code};
    }
    std::string line;
    while (std::getline(file, line)) {
        const std::size_t colon = line.find(':');
        if (line.empty() || line.front() == '#' || colon == std::string::npos) {
            continue;
        }
        std::string name = line.substr(0, colon);
        for (char& c : name) {
            c = c == '_' ? '-' : c;
        }
        const auto found = settings.find(name);
        if (found != settings.end()) {
            found->second.set(scalar(line.substr(colon + 1)));
        }
    }
}

Options read_options(int count, char** arguments) {
    Options options;
    const std::string called = arguments[0];
    options.product = called.substr(called.rfind('/') + 1) == "director" ? "director" : "directord";
    options.socket_path = "/var/run/" + options.product + ".sock";
    options.words.assign(arguments + 1, arguments + count);
    std::map<std::string, Setting> settings = settings_of(options);
    std::string config_file;
    read_environment(options, settings);
    take_switches(options.words, settings, &config_file);
    if (options.words.empty()) {
        throw Refusal{"Mode is set to an unsupported value.", 1};
    }
    options.mode = options.words.front();
    options.words.erase(options.words.begin());
    const std::map<std::string, Setting> own = settings_of_mode(options);
    read_environment(options, own);
    if (!own.empty()) {
        take_switches(options.words, own, nullptr);
        if (!options.words.empty()) {
            throw Refusal{"unrecognized arguments: " + options.words.front(), usage_code};
        }
    }
    if (!config_file.empty()) {
        settings.insert(own.begin(), own.end());
        read_file(config_file, settings);
    }
    return options;
}

void end(int) {
    ::_exit(0);
}

int run(int count, char** arguments) {
    const Options options = read_options(count, arguments);
    if (options.mode == "server" || options.mode == "client") {
        // As the first process of a container it would not hear them otherwise.
        ::signal(SIGTERM, end);
        ::signal(SIGINT, end);
        std::cout << std::unitbuf;
        options.mode == "server" ? run_server(options) : run_client(options);
        return 0;
    }
    return run_user(options);
}

}  // namespace

Authentication authentication_of(const Options& options, const std::string& own,
                                 const std::string& peer) {
    if (options.curve) {
        return read_curve_keys(options.configuration_directory(), own, peer);
    }
    Authentication authentication;
    if (!options.shared_key.empty()) {
        authentication.kind = Authentication::Kind::shared_key;
        authentication.shared_key = options.shared_key;
    }
    return authentication;
}

}  // namespace standin

int main(int count, char** arguments) {
    try {
        return standin::run(count, arguments);
    } catch (const standin::Refusal& refusal) {
        std::cerr << refusal.message << '\n';
        return refusal.code;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
