#include "operation/backup_target.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/target_program.hpp"

namespace drunner {
namespace {

constexpr std::string_view restic_mark = "restic:";
constexpr std::string_view rclone_mark = "rclone:";

// "https://user:password@host".
bool has_password(std::string_view word) {
    const std::size_t slashes = word.find("://");
    const std::size_t begin = slashes == std::string_view::npos ? 0 : slashes + 3;
    const std::size_t end = std::min(word.find('/', begin), word.size());
    const std::size_t at = word.substr(begin, end - begin).rfind('@');
    return slashes != std::string_view::npos && at != std::string_view::npos &&
           word.substr(begin, at).find(':') != std::string_view::npos;
}

}  // namespace

bool is_backup_target(std::string_view word) {
    return word.starts_with(restic_mark) || word.starts_with(rclone_mark);
}

std::unique_ptr<BackupTarget> make_backup_target(const Machine& machine, const std::string& word) {
    if (has_password(word)) {
        throw Error(ErrorKind::usage,
                    "a password stands in the target, and everybody on this host reads command "
                    "lines; put the repository's name into a file of root's",
                    "RESTIC_REPOSITORY_FILE=FILE drunner backup SERVICE restic:");
    }
    if (word.starts_with(restic_mark)) {
        return make_restic_target(machine, word.substr(restic_mark.size()));
    }
    const std::string place = word.starts_with(rclone_mark) ? word.substr(rclone_mark.size()) : "";
    const std::string remote = place.substr(0, place.find(':'));
    // What stands before the colon may be a whole configuration, with passwords.
    if (remote.size() == place.size() || remote.empty() || remote.find(',') != std::string::npos) {
        throw Error(ErrorKind::usage,
                    "'" + printable(word) +
                        "' is no place for backups: restic:REPOSITORY or "
                        "rclone:REMOTE:PATH is meant",
                    "rclone listremotes");
    }
    return make_rclone_target(machine, place);
}

std::string chosen_backup(BackupTarget& target, const ServiceName& service, const std::string& id) {
    const std::vector<TargetBackup> backups = target.list(service);
    const auto found = std::find_if(backups.begin(), backups.end(), [&](const TargetBackup& one) {
        return id.empty() || one.id == id;
    });
    if (found == backups.end()) {
        throw Error(ErrorKind::usage,
                    id.empty()
                        ? "there is no backup of '" + service.text() + "'"
                        : "there is no backup '" + printable(id) + "' of '" + service.text() + "'",
                    "drunner backup " + service.text() + " TARGET");
    }
    return found->id;
}

}  // namespace drunner
