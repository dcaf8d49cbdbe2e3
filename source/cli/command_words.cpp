#include "cli/command_words.hpp"

#include <cstdlib>

#include <charconv>
#include <thread>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {

std::optional<PullPolicy> pull_option(const Arguments& arguments) {
    if (!arguments.has("pull")) {
        return std::nullopt;
    }
    const std::string word = arguments.value("pull");
    const std::optional<PullPolicy> policy = parse_pull_policy(word);
    if (!policy) {
        throw Error(ErrorKind::usage,
                    "'" + printable(word) + "' is no pull policy: auto, always, missing or never");
    }
    return policy;
}

unsigned default_jobs() {
    return std::max(1U, std::thread::hardware_concurrency());
}

unsigned jobs_option(const Arguments& arguments, unsigned otherwise) {
    constexpr int most_jobs = 64;
    return static_cast<unsigned>(
        number_option(arguments, jobs_row.name, 1, most_jobs, static_cast<int>(otherwise)));
}

void refuse_jobs(const Arguments& arguments, std::string_view command) {
    if (arguments.has(jobs_row.name)) {
        throw Error(ErrorKind::usage, "--jobs is for several at once",
                    "drunner help " + std::string(command));
    }
}

int number_option(const Arguments& arguments, std::string_view option, int least, int most,
                  int otherwise) {
    if (!arguments.has(option)) {
        return otherwise;
    }
    const std::string text = arguments.value(option);
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < least ||
        number > most) {
        throw Error(ErrorKind::usage, "'--" + std::string(option) + " " + printable(text) +
                                          "' is not a whole number from " + std::to_string(least) +
                                          " to " + std::to_string(most));
    }
    return number;
}

Secret password_of(const Arguments& arguments) {
    if (arguments.has("password-file")) {
        std::string text = read_file(arguments.value("password-file"));
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
            text.pop_back();
        }
        if (text.empty()) {
            throw Error(
                ErrorKind::usage,
                "the password file '" + printable(arguments.value("password-file")) + "' is empty");
        }
        return Secret(std::move(text));
    }
    const char* pass = std::getenv("PASS");
    if (pass == nullptr) {
        return {};
    }
    Secret password{std::string(pass)};
    unsetenv("PASS");
    if (password.empty()) {
        throw Error(ErrorKind::usage, "PASS is set but empty", "unset PASS");
    }
    return password;
}

std::string digest_of_word(const std::string& word) {
    constexpr std::string_view prefix = "sha256:";
    std::string digest = word.starts_with(prefix) ? word.substr(prefix.size()) : word;
    std::transform(digest.begin(), digest.end(), digest.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
        throw Error(ErrorKind::usage,
                    "'" + printable(word) + "' is no SHA-256, which has 64 hexadecimal digits",
                    "drunner diff SERVICE IMAGE");
    }
    return digest;
}

std::string accepted_scripts_option(const Arguments& arguments) {
    return arguments.has(accept_scripts_row.name)
               ? digest_of_word(arguments.value(accept_scripts_row.name))
               : std::string();
}

std::map<std::string, std::string> assignments_of(const std::vector<std::string>& words) {
    std::map<std::string, std::string> assignments;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw Error(ErrorKind::usage,
                        "'" + printable(word) + "' is no setting; NAME=VALUE is meant");
        }
        if (!assignments.emplace(word.substr(0, equals), word.substr(equals + 1)).second) {
            throw Error(ErrorKind::usage,
                        "'" + printable(word.substr(0, equals)) + "' is given twice");
        }
    }
    return assignments;
}

OpenKey open_key_of(const Arguments& arguments) {
    OpenKey key;
    key.password = password_of(arguments);
    key.identity_file = arguments.value("identity");
    key.allow_plain = arguments.has("plain");
    key.require_trailer = !arguments.has("no-trailer");
    return key;
}

}  // namespace drunner
