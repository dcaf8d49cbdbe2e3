#pragma once

#include <map>
#include <string>
#include <vector>

#include "host/process.hpp"
#include "service/generated_files.hpp"

namespace drunner::test {

struct BashAnswer {
    int status = 0;
    std::string output;  // stdout and stderr
};

// Runs a bash program; `environment` is all it has besides PATH.
inline BashAnswer ask_bash(const std::string& program, std::vector<std::string> environment = {},
                           const std::string& path = "/usr/bin:/bin") {
    BashAnswer answer;
    BoundedProcess process;
    process.arguments = {"/bin/bash", "-c", program};
    process.environment = std::move(environment);
    process.environment.push_back("PATH=" + path);
    process.output = [&](std::string_view bytes) { answer.output += bytes; };
    answer.status = run_bounded(process).status;
    return answer;
}

// The words of an array (or the one of a plain variable) after `file` was sourced strictly.
inline std::vector<std::string> bash_words(const std::string& file, const std::string& name) {
    // Counting the words of a plain variable is an error under nounset.
    const std::string program = "set -euo pipefail; source " + bash_quote(file) + "; : \"${" +
                                name + "[@]}\"; set +u; if [[ ${#" + name +
                                "[@]} -gt 0 ]]; then printf '%s\\0' \"${" + name + "[@]}\"; fi";
    const std::string text = ask_bash(program).output;
    std::vector<std::string> words;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\0', begin);
        words.push_back(text.substr(begin, end - begin));
        begin = end == std::string::npos ? text.size() : end + 1;
    }
    return words;
}

}  // namespace drunner::test
