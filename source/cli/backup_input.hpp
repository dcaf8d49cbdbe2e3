#pragma once

#include <memory>
#include <string>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/backup_target.hpp"

namespace drunner {

// Opens a backup to read: "-" is standard input, which must not be a terminal. Throws Error(usage)
// or Error(system).
FileDescriptor open_backup_input(const std::string& word);

// A backup that another program keeps (operation/backup_target.hpp), on its way here.
class TargetInput {
  public:
    // The service's newest, or the one of that id where one is given.
    TargetInput(Machine& machine, const std::string& target, const ServiceName& service,
                const std::string& id);

    int descriptor() const { return download_->descriptor(); }
    // Calls `work`, which reads it. Where that fails because the program did, throws what that
    // said.
    template <typename Work>
    auto read_by(Work work) {
        try {
            return work();
        } catch (const Error&) {
            download_->explain();
            throw;
        }
    }

  private:
    std::unique_ptr<BackupTarget> target_;
    std::unique_ptr<TargetDownload> download_;
};

// The option that names one of a target's backups.
inline constexpr OptionRow snapshot_row{"snapshot", 0, "ID",
                                        "of a target's backups this one, not the newest"};
// Throws Error(usage) where it was given for a file.
void refuse_snapshot(const Arguments& arguments);

}  // namespace drunner
