#include "service/schedules.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr int format_number = 1;
constexpr std::string_view ending = ".json";
constexpr std::array<std::string_view, 4> jobs{"backup", "update", "drill", "verify"};

std::string to_json(const Schedule& schedule) {
    json services = json::array();
    for (const ServiceName& name : schedule.services) {
        services.push_back(name.text());
    }
    json document{{"format", format_number},
                  {"job", schedule.job},
                  {"when", schedule.when},
                  {"services", std::move(services)},
                  {"options", schedule.options},
                  {"set_at", schedule.set_at},
                  {"began_at", schedule.began_at},
                  {"exit_code", nullptr},
                  {"environment", schedule.environment}};
    if (schedule.exit_code) {
        document["exit_code"] = *schedule.exit_code;
    }
    return document.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
}

Schedule from_json(const std::string& text) {
    const json document = json::parse(text);
    if (document.at("format") != format_number ||
        !is_scheduled_job(document.at("job").get<std::string>())) {
        throw Error(ErrorKind::broken, "it is of another drunner");
    }
    Schedule schedule{document.at("job"),     document.at("when"),   {},
                      document.at("options"), document.at("set_at"), document.at("began_at")};
    for (const std::string name : document.at("services")) {
        schedule.services.emplace_back(name);
    }
    schedule.environment = document.at("environment").get<std::vector<std::string>>();
    if (!document.at("exit_code").is_null()) {
        schedule.exit_code = document.at("exit_code").get<int>();
    }
    return schedule;
}

}  // namespace

std::string Schedule::id() const {
    std::string id = job;
    for (const ServiceName& name : services) {
        id += ":" + name.text();
    }
    return id;
}

bool is_scheduled_job(std::string_view word) {
    return std::find(jobs.begin(), jobs.end(), word) != jobs.end();
}

std::string ScheduleStore::file_of(const std::string& id) const {
    return directory_ + "/" + id + std::string(ending);
}

std::vector<Schedule> ScheduleStore::all() const {
    std::vector<Schedule> schedules;
    for (const std::string& name : directory_entries(directory_)) {
        const std::string id =
            name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : std::string();
        // What a killed drunner left half written has another name.
        if (!id.empty() && is_scheduled_job(id.substr(0, id.find(':')))) {
            if (std::optional<Schedule> schedule = find(id)) {
                schedules.push_back(std::move(*schedule));
            }
        }
    }
    return schedules;
}

std::optional<Schedule> ScheduleStore::find(const std::string& id) const {
    const std::string file = file_of(id);
    // An id is no path.
    if (id.find('/') != std::string::npos || !exists(file)) {
        return std::nullopt;
    }
    const auto broken = [&](const std::string& why) {
        return Error(ErrorKind::broken, "'" + file + "' is no schedule: " + why, "rm " + file);
    };
    std::optional<Schedule> schedule;
    try {
        schedule = from_json(read_file(file));
    } catch (const std::exception& error) {
        throw broken(error.what());
    }
    if (schedule->id() != id) {
        throw broken("it tells of '" + printable(schedule->id()) + "'");
    }
    return schedule;
}

void ScheduleStore::save(const Schedule& schedule) const {
    make_directories(directory_);
    write_file(file_of(schedule.id()), to_json(schedule));
}

void ScheduleStore::remove(const std::string& id) const {
    remove_tree(file_of(id));
    sync_directory(directory_);
}

}  // namespace drunner
