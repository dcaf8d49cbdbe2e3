#include "operation/prune.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/write_ban.hpp"
#include "operation/backup_directory.hpp"
#include "operation/changes.hpp"
#include "operation/session.hpp"

namespace drunner {
namespace {

// Whether the service's last backup wrote this file, which was read back then.
bool was_written_whole(const Machine& machine, const ServiceName& name, const std::string& file) {
    try {
        const std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
        return manifest && manifest->last_backup && manifest->last_backup->file == file &&
               manifest->last_backup->written_bytes == std::filesystem::file_size(file);
    } catch (const std::exception&) {
        return false;
    }
}

// Judges the files of one service.
class Judge {
  public:
    Judge(Machine& machine, const ServiceName& name, const PruneRequest& request)
        : machine_(machine), name_(name), request_(request) {}

    // Why the backup is damaged, as far as its beginning tells; empty where it is not.
    std::string damage_at_begin(const std::string& file) {
        return damage_of(
            file, [](BackupReader&) {}, false);
    }

    // The same to its end. Throws Error(wrong_password) where that takes a key that is not given.
    std::string damage(const std::string& file) {
        machine_.progress.detail("reading '" + file + "'");
        return damage_of(
            file,
            [&](BackupReader& reader) {
                reader.verify([](const BackupReader::Member&) {}, machine_.progress);
            },
            !was_written_whole(machine_, name_, file));
    }

  private:
    template <typename Read>
    std::string damage_of(const std::string& file, const Read& read, bool needs_key) {
        check_cancellation();
        const FileDescriptor input(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!input.valid()) {
            throw system_error("cannot read the backup '" + printable(file) + "'", errno);
        }
        try {
            const auto reader = open_backup(input.get(), request_.key);
            if (reader->header().service != name_.text()) {
                return "it is a backup of '" + printable(reader->header().service) + "'";
            }
            read(*reader);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::wrong_password) {
                if (!needs_key) {
                    return {};
                }
                throw Error(error.kind(),
                            std::string(error.what()) + " ('" + printable(file) + "')",
                            "drunner prune " + name_.text() + " --identity FILE");
            }
            if (error.kind() != ErrorKind::archive_damaged &&
                error.kind() != ErrorKind::archive_refused) {
                throw;
            }
            return error.what();
        }
        return {};
    }

    Machine& machine_;
    const ServiceName& name_;
    const PruneRequest& request_;
};

// Takes the damaged ones out, the newest of the rest proven to its end.
std::vector<StoredBackup> whole_ones(Judge& judge, std::vector<StoredBackup> candidates, bool all,
                                     PruneResult& result) {
    std::vector<StoredBackup> whole;
    for (StoredBackup& candidate : candidates) {
        const std::string reason = all || whole.empty() ? judge.damage(candidate.file)
                                                        : judge.damage_at_begin(candidate.file);
        if (reason.empty()) {
            whole.push_back(std::move(candidate));
        } else {
            result.damaged.push_back({candidate.file, reason});
        }
    }
    return whole;
}

void remove_file(const std::string& file) {
    WriteBan::require_none(file);
    if (unlink(file.c_str()) != 0 && errno != ENOENT) {
        throw system_error("cannot remove the backup '" + printable(file) + "'", errno);
    }
}

}  // namespace

PruneResult prune(Machine& machine, const ServiceName& name, const PruneRequest& request) {
    if (request.retention.empty()) {
        throw Error(ErrorKind::settings, "no rule says which backups to keep",
                    "drunner prune " + name.text() + " --keep 'last=3 daily=7 weekly=4'");
    }
    const ServiceSession session(machine, name);
    PruneResult result;
    const std::string& directory = machine.config.backup_directory;
    const std::vector<StoredBackup> candidates = stored_backups(directory, name, result.unknown);
    Judge judge(machine, name, request);
    const std::vector<StoredBackup> whole =
        whole_ones(judge, candidates, request.verify_all, result);
    for (const DamagedBackup& one : result.damaged) {
        machine.progress.warning("'" + printable(one.file) + "' does not count: " + one.reason);
    }
    if (whole.empty() && !candidates.empty()) {
        throw Error(ErrorKind::archive_damaged,
                    "no backup of '" + name.text() + "' is whole, so none is removed",
                    "drunner backup " + name.text());
    }
    std::vector<TimePoint> times;
    for (const StoredBackup& candidate : whole) {
        times.push_back(candidate.time);
    }
    const auto rules = rules_that_keep(request.retention, times, machine.clock.now());
    for (std::size_t i = 0; i < whole.size(); ++i) {
        result.backups.push_back({whole[i].file, iso8601(whole[i].time), rules[i]});
        if (rules[i].empty()) {
            result.outcome = Outcome::changed;
            tell_change(machine, "the backup '" + whole[i].file + "' goes");
        }
    }
    if (machine.check || result.outcome == Outcome::unchanged) {
        return result;
    }
    // The oldest first: where it ends in between, what is left is what the rules like better.
    for (std::size_t i = whole.size(); i-- > 0;) {
        if (rules[i].empty()) {
            check_cancellation();
            remove_file(whole[i].file);
        }
    }
    sync_directory(directory + "/" + name.text());
    return result;
}

}  // namespace drunner
