#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "host/streamed_process.hpp"
#include "operation/backup_target.hpp"
#include "operation/machine.hpp"

namespace drunner {

// How long a program may take for one call, as a copy over a slow line does, and how long it may
// neither take nor give a byte. Behind that it has failed: Error(timed_out).
inline constexpr std::chrono::hours longest_call{24};
inline constexpr std::chrono::hours longest_silence{1};

// What restic's and rclone's calls share.
class TargetProgram {
  public:
    // `variables` come before TARGETENV.
    TargetProgram(const Machine& machine, std::string name, std::vector<std::string> variables);

    std::unique_ptr<StreamedProcess> start(std::vector<std::string> arguments,
                                           StreamedProcess::Ours ours) const;
    // Runs it to its end: its stdout. Throws Error(system) where it fails.
    std::string run(std::vector<std::string> arguments) const;
    // The same, and the status is the caller's to judge.
    ExitStatus try_run(std::vector<std::string> arguments, std::string& output,
                       std::string& errors) const;
    // For a destructor: what cannot be cleaned up within a minute is left.
    void run_tolerantly(const std::vector<std::string>& arguments) const;
    Error failure(ExitStatus status, const std::string& errors) const;
    const std::string& name() const { return name_; }

  private:
    std::string name_;
    std::vector<std::string> environment_;
};

// Writes all of it, or throws what the program said where it has ended, Error(timed_out).
void write_to(StreamedProcess& process, const TargetProgram& program, Bytes bytes);
// Reads to the end: the SHA-256 of that. Throws what the program said where it failed.
std::string sha256_of_output(StreamedProcess& process, const TargetProgram& program);

// stdout of a program as a backup.
class ProgramDownload : public TargetDownload {
  public:
    ProgramDownload(const TargetProgram& program, std::vector<std::string> arguments)
        : program_(program),
          process_(program.start(std::move(arguments), StreamedProcess::Ours::output)) {}

    int descriptor() const override { return process_->pipe(); }
    void explain() override;

  private:
    const TargetProgram& program_;
    std::unique_ptr<StreamedProcess> process_;
};

std::unique_ptr<BackupTarget> make_restic_target(const Machine& machine,
                                                 const std::string& repository);
std::unique_ptr<BackupTarget> make_rclone_target(const Machine& machine, const std::string& place);

}  // namespace drunner
