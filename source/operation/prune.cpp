#include "operation/prune.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

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

// The backups of one service, wherever they are kept.
class Shelf {
  public:
    virtual ~Shelf() = default;
    // The newest first; the names of what else is there are added to `unknown`.
    virtual std::vector<StoredBackup> backups(std::vector<std::string>& unknown) = 0;
    // Opens one and hands it to `read`, what that throws included.
    virtual void open(const std::string& file, const std::function<void(int input)>& read) = 0;
    // In this order.
    virtual void remove(const std::vector<std::string>& files) = 0;
    // As people, and the service's last backup, call it.
    virtual std::string name_of(const std::string& file) const { return file; }
    // The last backup wrote a file of that size under this name.
    virtual bool has_size(const std::string& file, std::uint64_t size) const = 0;
    virtual bool is_quick_to_read() const = 0;
};

class DirectoryShelf final : public Shelf {
  public:
    DirectoryShelf(const Machine& machine, const ServiceName& name)
        : directory_(machine.config.backup_directory), name_(name) {}

    std::vector<StoredBackup> backups(std::vector<std::string>& unknown) override {
        return stored_backups(directory_, name_, unknown);
    }
    void open(const std::string& file, const std::function<void(int)>& read) override {
        const FileDescriptor input(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!input.valid()) {
            throw system_error("cannot read the backup '" + printable(file) + "'", errno);
        }
        read(input.get());
    }
    void remove(const std::vector<std::string>& files) override {
        for (const std::string& file : files) {
            check_cancellation();
            WriteBan::require_none(file);
            if (unlink(file.c_str()) != 0 && errno != ENOENT) {
                throw system_error("cannot remove the backup '" + printable(file) + "'", errno);
            }
        }
        sync_directory(directory_ + "/" + name_.text());
    }
    bool has_size(const std::string& file, std::uint64_t size) const override {
        std::error_code error;
        return std::filesystem::file_size(file, error) == size;
    }
    bool is_quick_to_read() const override { return true; }

  private:
    std::string directory_;
    const ServiceName& name_;
};

class TargetShelf final : public Shelf {
  public:
    TargetShelf(BackupTarget& target, const ServiceName& name) : target_(target), name_(name) {}

    std::vector<StoredBackup> backups(std::vector<std::string>& unknown) override {
        std::vector<StoredBackup> backups;
        for (const TargetBackup& one : target_.list(name_)) {
            if (one.is_of_this_host) {
                backups.push_back({one.id, one.time});
                sizes_[one.id] = one.size;
            } else {
                unknown.push_back(one.id);
            }
        }
        return backups;
    }
    void open(const std::string& file, const std::function<void(int)>& read) override {
        const auto download = target_.open(name_, file);
        try {
            read(download->descriptor());
        } catch (const Error&) {
            download->explain();
            throw;
        }
    }
    void remove(const std::vector<std::string>& files) override { target_.remove(name_, files); }
    std::string name_of(const std::string& file) const override {
        return target_.name_of(name_, file);
    }
    // restic calls a snapshot by its content: one of another size has another id.
    bool has_size(const std::string& file, std::uint64_t size) const override {
        return sizes_.at(file).value_or(size) == size;
    }
    bool is_quick_to_read() const override { return false; }

  private:
    BackupTarget& target_;
    const ServiceName& name_;
    std::map<std::string, std::optional<std::uint64_t>> sizes_;
};

std::unique_ptr<Shelf> shelf_of(const Machine& machine, const ServiceName& name,
                                const PruneRequest& request) {
    if (request.target != nullptr) {
        return std::make_unique<TargetShelf>(*request.target, name);
    }
    return std::make_unique<DirectoryShelf>(machine, name);
}

// Judges the backups of one service.
class Judge {
  public:
    Judge(Machine& machine, const ServiceName& name, const PruneRequest& request, Shelf& shelf)
        : machine_(machine), name_(name), request_(request), shelf_(shelf) {}

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
            !was_written_whole(file));
    }

  private:
    // Whether the service's last backup wrote this one, which was read back then.
    bool was_written_whole(const std::string& file) const {
        try {
            const std::optional<Manifest> manifest = Catalog(machine_.paths).find(name_);
            return manifest && manifest->last_backup &&
                   manifest->last_backup->file == shelf_.name_of(file) &&
                   shelf_.has_size(file, manifest->last_backup->written_bytes);
        } catch (const std::exception&) {
            return false;
        }
    }

    template <typename Read>
    std::string damage_of(const std::string& file, const Read& read, bool needs_key) {
        check_cancellation();
        std::string damage;
        try {
            shelf_.open(file, [&](int input) {
                const auto reader = open_backup(input, request_.key);
                if (reader->header().service != name_.text()) {
                    damage = "it is a backup of '" + printable(reader->header().service) + "'";
                } else {
                    read(*reader);
                }
            });
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
        return damage;
    }

    Machine& machine_;
    const ServiceName& name_;
    const PruneRequest& request_;
    Shelf& shelf_;
};

// Takes the damaged ones out, the newest of the rest proven to its end.
std::vector<StoredBackup> whole_ones(Judge& judge, const Shelf& shelf,
                                     std::vector<StoredBackup> candidates, bool all,
                                     PruneResult& result) {
    std::vector<StoredBackup> whole;
    for (StoredBackup& candidate : candidates) {
        const std::string reason = all || whole.empty() ? judge.damage(candidate.file)
                                   : shelf.is_quick_to_read()
                                       ? judge.damage_at_begin(candidate.file)
                                       : std::string();
        if (reason.empty()) {
            whole.push_back(std::move(candidate));
        } else {
            result.damaged.push_back({shelf.name_of(candidate.file), reason});
        }
    }
    return whole;
}

}  // namespace

PruneResult prune(Machine& machine, const ServiceName& name, const PruneRequest& request) {
    if (request.retention.empty()) {
        throw Error(ErrorKind::settings, "no rule says which backups to keep",
                    "drunner prune " + name.text() + " --keep 'last=3 daily=7 weekly=4'");
    }
    const ServiceSession session(machine, name);
    PruneResult result;
    const std::unique_ptr<Shelf> shelf = shelf_of(machine, name, request);
    const std::vector<StoredBackup> candidates = shelf->backups(result.unknown);
    Judge judge(machine, name, request, *shelf);
    const std::vector<StoredBackup> whole =
        whole_ones(judge, *shelf, candidates, request.verify_all, result);
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
        const std::string file = shelf->name_of(whole[i].file);
        result.backups.push_back({file, iso8601(whole[i].time), rules[i]});
        if (rules[i].empty()) {
            result.outcome = Outcome::changed;
            tell_change(machine, "the backup '" + file + "' goes");
        }
    }
    if (machine.check || result.outcome == Outcome::unchanged) {
        return result;
    }
    // The oldest first: where it ends in between, what is left is what the rules like better.
    std::vector<std::string> going;
    for (std::size_t i = whole.size(); i-- > 0;) {
        if (rules[i].empty()) {
            going.push_back(whole[i].file);
        }
    }
    shelf->remove(going);
    return result;
}

}  // namespace drunner
