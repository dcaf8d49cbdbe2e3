#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/service_name.hpp"
#include "host/clock.hpp"
#include "operation/machine.hpp"

namespace drunner {

// Backups that another program keeps, as it likes and where it likes:
//
//   restic:REPOSITORY    a snapshot each; without a name, what RESTIC_REPOSITORY(_FILE) says
//   rclone:REMOTE:PATH   files PATH/SERVICE/UTC.tar.zst, as in BACKUPDIR
//
// The programs get this process's environment, and TARGETENV before it. What keeps a secret out of
// everybody's sight is theirs: RESTIC_PASSWORD_FILE, rclone's configuration.
bool is_backup_target(std::string_view word);

struct TargetBackup {
    std::string id;  // of restic's snapshot, or the file's name
    TimePoint time;
    bool is_of_this_host = true;             // another's with the same name is not ours to remove
    std::optional<std::uint64_t> size = {};  // bytes, where that can be asked for
};

// A backup on its way there. Where it goes before keep() was called, nothing of it is there.
class TargetUpload {
  public:
    virtual ~TargetUpload() = default;
    virtual void write(Bytes bytes) = 0;
    // The last byte was written: reads it back, whose SHA-256 this is in hexadecimal digits.
    // Answers the id. Throws Error(system) with the program's words, Error(archive_damaged).
    virtual std::string finish(const std::string& sha256) = 0;
    virtual void keep() = 0;
};

// A backup on its way from there.
class TargetDownload {
  public:
    virtual ~TargetDownload() = default;
    virtual int descriptor() const = 0;
    // What is read was no backup, or too little of one: throws Error(system) where that is because
    // the program failed.
    virtual void explain() = 0;
};

class BackupTarget {
  public:
    virtual ~BackupTarget() = default;

    // `time` is that of the name it gets.
    virtual std::unique_ptr<TargetUpload> begin(const ServiceName& service, TimePoint time,
                                                bool encrypted) = 0;
    // The newest first; what else is there does not count.
    virtual std::vector<TargetBackup> list(const ServiceName& service) = 0;
    virtual std::unique_ptr<TargetDownload> open(const ServiceName& service,
                                                 const std::string& id) = 0;
    virtual void remove(const ServiceName& service, const std::vector<std::string>& ids) = 0;
    // For people: "restic:/srv/repo#1a2b3c4d".
    virtual std::string name_of(const ServiceName& service, const std::string& id) const = 0;
};

// Throws Error(usage) for a word that is no target, or has a password in it: a command line is
// everybody's to read.
std::unique_ptr<BackupTarget> make_backup_target(const Machine& machine, const std::string& word);

// The newest of the service, or the one of that id where one is given. Throws Error(usage) where
// there is none.
std::string chosen_backup(BackupTarget& target, const ServiceName& service, const std::string& id);

}  // namespace drunner
