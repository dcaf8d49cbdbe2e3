#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/file.hpp"
#include "host/process.hpp"

namespace drunner {

struct PipedStart {
    std::vector<std::string> arguments;    // argv; [0] is an absolute path
    std::vector<std::string> environment;  // "KEY=value", complete
    std::string_view input;                // all of its stdin, at most 4096 bytes
    std::uint64_t memory = 0;              // bytes of address space that it may have; 0: no limit
};

// A program whose stdout is read while it runs: in a session of its own, without a terminal, with
// signals at their defaults and no descriptor but 0, 1 and 2. It writes no files (RLIMIT_FSIZE).
class PipedProcess {
  public:
    // Throws Error(system).
    explicit PipedProcess(const PipedStart& start);
    // Ends it where it still runs.
    ~PipedProcess();
    PipedProcess(const PipedProcess&) = delete;
    PipedProcess& operator=(const PipedProcess&) = delete;

    // The next bytes of stdout; 0 when it and stderr are at their end. Throws Error(interrupted)
    // when cancellation is pending, Error(system).
    std::size_t read(std::span<std::byte> buffer);
    // How it ended; waits for that.
    ExitStatus wait();
    // The first few KiB of its stderr.
    const std::string& errors() const { return errors_; }

  private:
    PipedProcess() = default;
    void read_errors();

    pid_t pid_ = -1;
    FileDescriptor output_;
    FileDescriptor error_output_;
    std::string errors_;
    ExitStatus status_ = 0;
};

}  // namespace drunner
