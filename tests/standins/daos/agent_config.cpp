#include "agent_config.hpp"

#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

namespace standin {
namespace {

std::string trimmed(const std::string& text, const char* what = " \t\r") {
    const std::size_t begin = text.find_first_not_of(what);
    if (begin == std::string::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(what) - begin + 1);
}

std::string unquoted(const std::string& text) {
    const bool quoted = text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
                        text.back() == text.front();
    return quoted ? text.substr(1, text.size() - 2) : text;
}

int number(const std::string& text) {
    int value = 0;
    const char* end = text.data() + text.size();
    if (const auto [stop, error] = std::from_chars(text.data(), end, value);
        error != std::errc() || stop != end || value < 0) {
        throw std::runtime_error("'" + text + "' is no number");
    }
    return value;
}

bool truth(const std::string& text) {
    if (text != "true" && text != "false") {
        throw std::runtime_error("'" + text + "' is neither true nor false");
    }
    return text == "true";
}

// ['a', 'b']
std::vector<std::string> words(const std::string& text) {
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') {
        throw std::runtime_error("'" + text + "' is no list");
    }
    std::vector<std::string> result;
    std::istringstream parts(text.substr(1, text.size() - 2));
    for (std::string part; std::getline(parts, part, ',');) {
        result.push_back(unquoted(trimmed(part)));
    }
    return result;
}

}  // namespace

AgentConfig read_agent_config(const std::string& path) {
    AgentConfig config;
    Fabric fabric;
    const auto nothing = [](const std::string&) {};
    const std::map<std::string, std::function<void(const std::string&)>> keys{
        {"name", nothing},
        {"log_file", nothing},
        {"transport_config", nothing},
        {"devices", nothing},
        {"access_points", [&](const std::string& value) { config.access_points = words(value); }},
        {"port", [&](const std::string& value) { config.port = number(value); }},
        {"runtime_dir", [&](const std::string& value) { config.runtime_directory = value; }},
        {"allow_insecure", [&](const std::string& value) { config.allow_insecure = truth(value); }},
        {"ca_cert", [&](const std::string& value) { config.ca_certificate = value; }},
        {"cert", [&](const std::string& value) { config.certificate = value; }},
        {"key", [&](const std::string& value) { config.key = value; }},
        {"fabric_ifaces", [&](const std::string&) { config.fabric.emplace(); }},
        {"numa_node", [&](const std::string& value) { fabric.numa_node = number(value); }},
        {"iface", [&](const std::string& value) { fabric.interface = value; }},
        {"domain", [&](const std::string& value) { fabric.domain = value; }},
    };
    std::ifstream file(path);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    int line_number = 0;
    for (std::string line; std::getline(file, line);) {
        ++line_number;
        std::string text = trimmed(line.substr(0, line.find(" #")));
        if (text.starts_with("- ")) {
            text = trimmed(text.substr(2));
        }
        if (text.empty() || text.front() == '#' || text == "---") {
            continue;
        }
        const std::size_t colon = text.find(':');
        const auto key = keys.find(text.substr(0, colon));
        try {
            if (colon == std::string::npos || key == keys.end()) {
                throw std::runtime_error("'" + text + "' is not known");
            }
            key->second(unquoted(trimmed(text.substr(colon + 1))));
        } catch (const std::runtime_error& error) {
            throw std::runtime_error(path + ", line " + std::to_string(line_number) + ": " +
                                     error.what());
        }
    }
    if (config.access_points.empty() || config.port == 0) {
        throw std::runtime_error(path + " names no access_points, or no port");
    }
    if (config.fabric) {
        if (fabric.interface.empty() || fabric.domain.empty()) {
            throw std::runtime_error(path + ": fabric_ifaces names no iface, or no domain");
        }
        config.fabric = fabric;
    }
    return config;
}

}  // namespace standin
