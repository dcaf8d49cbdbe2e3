#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/service_name.hpp"
#include "host/clock.hpp"

namespace drunner {

// A directory as BACKUPDIR is one: DIRECTORY/SERVICE/UTC.tar.zst, or .tar.zst.age.

// The name of a backup made then, and what such a name says; empty for any other.
std::string backup_file_name(TimePoint time, bool encrypted);
std::optional<TimePoint> backup_time(std::string_view name);

struct StoredBackup {
    std::string file;
    TimePoint time;  // by its name
};

// A service's backups, the newest first; none where it has no directory. The names of what else is
// there are added to `unknown`.
std::vector<StoredBackup> stored_backups(const std::string& directory, const ServiceName& service,
                                         std::vector<std::string>& unknown);

// The services that have a directory there, sorted.
std::vector<ServiceName> services_with_backups(const std::string& directory);

}  // namespace drunner
