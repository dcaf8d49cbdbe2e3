#include "operation/backup_directory.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/error.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::array<std::string_view, 2> endings{".tar.zst", ".tar.zst.age"};

}  // namespace

std::string backup_file_name(TimePoint time, bool encrypted) {
    return compact_utc(time) + std::string(endings[encrypted ? 1 : 0]);
}

std::optional<TimePoint> backup_time(std::string_view name) {
    for (const std::string_view ending : endings) {
        if (name.ends_with(ending)) {
            return parse_compact_utc(name.substr(0, name.size() - ending.size()));
        }
    }
    return std::nullopt;
}

std::vector<StoredBackup> stored_backups(const std::string& directory, const ServiceName& service,
                                         std::vector<std::string>& unknown) {
    const std::string own = directory + "/" + service.text();
    std::vector<StoredBackup> backups;
    if (!exists(own)) {
        return backups;
    }
    for (const std::string& name : directory_entries(own)) {
        const std::string file = own + "/" + name;
        const std::optional<TimePoint> time = backup_time(name);
        if (time && file_type(file) == FileType::regular) {
            backups.push_back({file, *time});
        } else {
            unknown.push_back(name);
        }
    }
    std::sort(backups.begin(), backups.end(), [](const auto& a, const auto& b) {
        return a.time != b.time ? a.time > b.time : a.file < b.file;
    });
    return backups;
}

std::vector<ServiceName> services_with_backups(const std::string& directory) {
    std::vector<ServiceName> names;
    if (!exists(directory)) {
        return names;
    }
    for (const std::string& entry : directory_entries(directory)) {
        if (file_type(directory + "/" + entry) != FileType::directory) {
            continue;
        }
        try {
            names.emplace_back(entry);
        } catch (const Error&) {
            continue;  // no service's
        }
    }
    return names;
}

}  // namespace drunner
