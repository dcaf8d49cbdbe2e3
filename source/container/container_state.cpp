#include "container/container_state.hpp"

#include <cctype>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "engine/json_fields.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::int64_t nanoseconds = 1'000'000'000;

}  // namespace

std::int64_t parse_engine_time(const std::string& text) {
    std::tm parts{};
    int consumed = 0;
    if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon,
                    &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &consumed) != 6 ||
        parts.tm_year < 1970) {
        return 0;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    std::int64_t fraction = 0;
    auto next = static_cast<std::size_t>(consumed);
    if (next < text.size() && text[next] == '.') {
        std::int64_t unit = nanoseconds / 10;
        for (++next;
             next < text.size() && std::isdigit(static_cast<unsigned char>(text[next])) != 0;
             ++next) {
            fraction += unit * (text[next] - '0');
            unit /= 10;
        }
    }
    int hours = 0;
    int minutes = 0;
    char sign = '+';
    std::int64_t offset = 0;
    if (std::sscanf(text.c_str() + next, "%c%2d:%2d", &sign, &hours, &minutes) == 3) {
        offset = (sign == '-' ? -1 : 1) * (hours * 3600LL + minutes * 60LL);
    }
    return (static_cast<std::int64_t>(timegm(&parts)) - offset) * nanoseconds + fraction;
}

ContainerState container_state(const Container& container) {
    const json document = json::parse(container.document, nullptr, false);
    const json& state = member(document, "State");
    const json& policy = member(member(document, "HostConfig"), "RestartPolicy");
    ContainerState known;
    known.status = container.state;
    known.policy = text_of(policy, "Name");
    known.retries = static_cast<unsigned>(number_of(policy, "MaximumRetryCount"));
    known.restarts = static_cast<unsigned>(container.restart_count);
    known.exit_code = container.exit_code;
    known.started = parse_engine_time(text_of(state, "StartedAt"));
    known.finished = parse_engine_time(text_of(state, "FinishedAt"));
    return known;
}

bool has_ended(const ContainerState& state) {
    return state.status == "exited" || state.status == "dead";
}

bool has_failed(const ContainerState& state) {
    if (!has_ended(state)) {
        return false;
    }
    if (state.policy.empty() || state.policy == "no") {
        return true;
    }
    return state.policy == "on-failure" && state.exit_code != 0 && state.retries > 0 &&
           state.restarts >= state.retries &&
           state.finished - state.started < std::chrono::nanoseconds(crash_window).count();
}

bool is_stopped_by_hand(const std::string& root, const std::string& id) {
    const std::string path = root + "/containers/" + id + "/config.v2.json";
    if (root.empty() || file_type(path) != FileType::regular) {
        return false;
    }
    try {
        const json record = json::parse(read_file(path), nullptr, false);
        const json& stopped = member(record, "HasBeenManuallyStopped");
        return text_of(record, "ID") == id && stopped.is_boolean() && stopped.get<bool>();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::system) {
            throw;
        }
        // It was removed meanwhile.
        return false;
    }
}

}  // namespace drunner
