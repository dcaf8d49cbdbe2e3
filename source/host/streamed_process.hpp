#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "host/file.hpp"
#include "host/process.hpp"

namespace drunner {

// A program that is fed through its stdin, or read through its stdout, by a pipe whose other end is
// ours; what else it says is kept in memory. It runs in a process group of its own, and with rights
// and files as any program: piped_process.hpp is for one that is not to be trusted.
class StreamedProcess {
  public:
    enum class Ours { input, output };

    // arguments[0] is looked for on PATH of `environment` ("KEY=value", complete). Throws
    // Error(system).
    StreamedProcess(std::vector<std::string> arguments, std::vector<std::string> environment,
                    Ours ours);
    // Where it still runs it is interrupted, and killed ten seconds later: never does it see the
    // end of an input that was not written to its end. Where this process is killed, or the thread
    // that started it ends, the kernel kills it.
    ~StreamedProcess();
    StreamedProcess(const StreamedProcess&) = delete;
    StreamedProcess& operator=(const StreamedProcess&) = delete;

    // To write to (it does not block: EAGAIN), or to read from.
    int pipe() const { return pipe_.get(); }

    // Ends it as the destructor would, so that what it said can be read.
    void stop();
    // Closes the pipe and waits. Throws Error(interrupted), and Error(timed_out) behind the limit.
    ExitStatus finish(std::chrono::seconds limit);
    // True where it has ended by itself, within a second.
    bool has_ended();
    ExitStatus status() const { return status_; }
    // What it wrote to its stdout, where the input is ours, and to its stderr.
    std::string output() const;
    std::string errors() const;

  private:
    bool reap();

    std::string program_;
    pid_t pid_ = -1;
    FileDescriptor pipe_;
    FileDescriptor output_;
    FileDescriptor errors_;
    ExitStatus status_ = 0;
};

}  // namespace drunner
