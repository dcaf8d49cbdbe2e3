#include "service/operator_config.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/clock.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

struct PolicyRow {
    PullPolicy policy;
    std::string_view word;
};
constexpr std::array policies{
    PolicyRow{PullPolicy::automatic, "auto"}, PolicyRow{PullPolicy::always, "always"},
    PolicyRow{PullPolicy::missing, "missing"}, PolicyRow{PullPolicy::never, "never"}};

bool is_name(std::string_view text) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !text.empty() && letter(text.front()) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// One line of the file, for messages.
struct Line {
    const std::string& file;
    int number;

    Error wrong(const std::string& why) const {
        return Error(ErrorKind::settings,
                     "'" + file + "' line " + std::to_string(number) + ": " + why, "edit " + file);
    }
};

// The value behind KEY=: one word, bare or in single or double quotes, perhaps with a comment
// behind it. Nothing in it is expanded; in double quotes a backslash keeps \ and " literal.
std::string value_of(std::string_view text, const Line& line) {
    const char quote = text.empty() ? '\0' : text.front();
    std::string value;
    std::size_t end = 0;
    if (quote == '\'' || quote == '"') {
        for (end = 1; end < text.size() && text[end] != quote; ++end) {
            const bool escapes = quote == '"' && text[end] == '\\' && end + 1 < text.size() &&
                                 (text[end + 1] == '"' || text[end + 1] == '\\');
            end += escapes ? 1 : 0;
            value += text[end];
        }
        if (end == text.size()) {
            throw line.wrong("the quote is never closed");
        }
        ++end;
    } else {
        end = std::min(text.find_first_of(" \t"), text.size());
        value = text.substr(0, end);
    }
    const std::string_view rest = text.substr(end);
    if (!trim(rest).empty() && (trim(rest).front() != '#' || trim(rest).size() == rest.size())) {
        throw line.wrong("more than one value: put quotes around it");
    }
    return value;
}

std::vector<std::string> words_of(std::string text) {
    std::replace(text.begin(), text.end(), ',', ' ');
    std::replace(text.begin(), text.end(), '\t', ' ');
    std::vector<std::string> words = split(text, ' ');
    std::erase(words, "");
    return words;
}

std::string directory_of(const std::string& key, const std::string& value, const Line& line) {
    if (value.empty() || value.front() != '/') {
        throw line.wrong(key + " is '" + printable(value) + "', which is not an absolute path");
    }
    return value;
}

std::chrono::seconds duration_of(const std::string& value, const Line& line) {
    const std::optional<std::chrono::seconds> duration = parse_duration(value);
    if (!duration) {
        throw line.wrong("'" + printable(value) +
                         "' is no duration: a number with s, m, h or d behind it, 0 for none");
    }
    return *duration;
}

std::chrono::hours days_of(const std::string& value, const Line& line) {
    constexpr int longest = 3650;
    int days = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, days);
    if (error != std::errc() || stop != end || days < 0 || days > longest) {
        throw line.wrong("'" + printable(value) + "' is no number of days from 0 to " +
                         std::to_string(longest));
    }
    return std::chrono::hours(24 * days);
}

// "1000", "500M", "2G", "2GiB": powers of 1024.
std::uint64_t size_of(const std::string& value, const Line& line) {
    std::uint64_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    constexpr std::string_view units = "KMGT";
    unsigned shift = 0;
    if (!unit.empty() && units.find(unit.front()) != std::string_view::npos) {
        shift = 10U * (static_cast<unsigned>(units.find(unit.front())) + 1);
        unit.remove_prefix(1);
        if (unit == "iB" || unit == "B") {
            unit = {};
        }
    }
    if (error != std::errc() || !unit.empty() || (number << shift) >> shift != number) {
        throw line.wrong("'" + printable(value) +
                         "' is no size: a number with K, M, G or T behind it, or of bytes");
    }
    return number << shift;
}

SnapshotPolicy snapshot_policy_of(const std::string& value, const Line& line) {
    struct Row {
        std::string_view word;
        SnapshotPolicy policy;
    };
    constexpr std::array rows{Row{"auto", SnapshotPolicy::automatic},
                              Row{"reflink", SnapshotPolicy::reflink},
                              Row{"copy", SnapshotPolicy::copy}, Row{"off", SnapshotPolicy::off}};
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.word == value; });
    if (found == rows.end()) {
        throw line.wrong("SNAPSHOT is '" + printable(value) +
                         "', where auto, reflink, copy or off is meant");
    }
    return found->policy;
}

Review review_of(const std::string& value, const Line& line) {
    if (value != "off" && value != "show" && value != "pin") {
        throw line.wrong("REVIEW is '" + printable(value) + "', where off, show or pin is meant");
    }
    return value == "off" ? Review::off : value == "show" ? Review::show : Review::pin;
}

void take(OperatorConfig& config, const std::string& key, const std::string& value,
          const Line& line) {
    if (key == "PULL") {
        const auto policy = parse_pull_policy(value);
        if (!policy) {
            throw line.wrong("PULL is '" + printable(value) +
                             "', where auto, always, missing or never is meant");
        }
        config.pull = *policy;
    } else if (key == "BACKUPDIR") {
        config.backup_directory = directory_of(key, value, line);
    } else if (key == "LAUNCHERDIR") {
        config.launcher_directory = directory_of(key, value, line);
    } else if (key == "HOOKENV") {
        config.hook_env = words_of(value);
        for (const std::string& name : config.hook_env) {
            if (!is_name(name)) {
                throw line.wrong("HOOKENV has '" + printable(name) +
                                 "', which is not a variable's name");
            }
            if (name == "PASS") {
                throw line.wrong("HOOKENV has PASS, which hooks never get");
            }
        }
    } else if (key == "RECIPIENTS") {
        config.recipients = words_of(value);
        for (const std::string& recipient : config.recipients) {
            if (recipient.substr(0, 4) != "age1") {
                throw line.wrong("RECIPIENTS has '" + printable(recipient) +
                                 "', which is not a public key of age (age1...)");
            }
        }
    } else if (key == "HOOKTIMEOUT") {
        config.hook_timeout = duration_of(value, line);
    } else if (key == "ENGINETIMEOUT") {
        config.engine_timeout = duration_of(value, line);
        if (config.engine_timeout->count() == 0) {
            throw line.wrong("ENGINETIMEOUT is 0, but no wait for the engine goes on for ever");
        }
    } else if (key == "UNDELETEDAYS") {
        config.undelete_age = days_of(value, line);
    } else if (key == "BACKUPMAXAGE") {
        config.backup_max_age = duration_of(value, line);
    } else if (key == "AFTER_BACKUP") {
        config.after_backup = value;
    } else if (key == "TARGETENV") {
        config.target_env = split(value, ' ');
        std::erase(config.target_env, "");
        for (const std::string& word : config.target_env) {
            const std::size_t equals = word.find('=');
            if (equals == std::string::npos || !is_name(word.substr(0, equals))) {
                throw line.wrong("TARGETENV has '" + printable(word.substr(0, equals)) +
                                 "', where NAME=VALUE is meant");
            }
        }
    } else if (key == "ON_FAILURE") {
        config.on_failure = value;
    } else if (key == "RETENTION") {
        try {
            config.retention = parse_retention(value);
        } catch (const Error& error) {
            throw line.wrong(error.what());
        }
    } else if (key == "HEALTHUPTIME") {
        config.health_uptime = duration_of(value, line);
    } else if (key == "SNAPSHOT") {
        config.snapshot = snapshot_policy_of(value, line);
    } else if (key == "REVIEW") {
        config.review = review_of(value, line);
    } else if (key == "SNAPSHOTLIMIT") {
        config.snapshot_limit = size_of(value, line);
    }
}

}  // namespace

std::optional<PullPolicy> parse_pull_policy(std::string_view word) {
    const auto found = std::find_if(policies.begin(), policies.end(),
                                    [&](const PolicyRow& row) { return row.word == word; });
    return found == policies.end() ? std::nullopt : std::optional(found->policy);
}

std::string_view pull_policy_word(PullPolicy policy) {
    return std::find_if(policies.begin(), policies.end(),
                        [&](const PolicyRow& row) { return row.policy == policy; })
        ->word;
}

OperatorConfig load_operator_config(const Paths& paths) {
    OperatorConfig config;
    config.backup_directory = paths.backups();
    config.launcher_directory = paths.default_launcher_directory();
    const std::string file = paths.config_file();
    if (!exists(file)) {
        return config;
    }
    int number = 0;
    for (const std::string& text : split(read_file(file), '\n')) {
        const Line line{file, ++number};
        const std::string_view stripped = trim(text);
        if (stripped.empty() || stripped.front() == '#') {
            continue;
        }
        const std::size_t equals = stripped.find('=');
        const std::string key(stripped.substr(0, equals));
        if (equals == std::string_view::npos || !is_name(key)) {
            throw line.wrong("'" + printable(stripped) + "' is not KEY=VALUE");
        }
        take(config, key, value_of(stripped.substr(equals + 1), line), line);
    }
    return config;
}

}  // namespace drunner
