#include <mutex>

#include "cli/commands.hpp"
#include "cli/container_host.hpp"
#include "container/container_calls.hpp"
#include "container/line_server.hpp"
#include "core/error.hpp"
#include "host/lock.hpp"

namespace drunner {
namespace {

// What several calls at once say, one after the other.
class SharedProgress : public Progress {
  public:
    explicit SharedProgress(Progress& progress) : progress_(progress) {}

    void note(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.note(text);
    }
    void warning(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.warning(text);
    }
    void detail(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        progress_.detail(text);
    }
    void script_output(std::string_view bytes) override {
        const std::lock_guard lock(mutex_);
        progress_.script_output(bytes);
    }
    void advance(std::string_view activity, std::uint64_t done, std::uint64_t total,
                 std::string_view unit) override {
        const std::lock_guard lock(mutex_);
        progress_.advance(activity, done, total, unit);
    }
    void end(std::string_view activity) override {
        const std::lock_guard lock(mutex_);
        progress_.end(activity);
    }

  private:
    Progress& progress_;
    std::mutex mutex_;
};

Answer run(const Invocation& invocation) {
    Machine& machine = invocation.machine();
    const FileLock lock =
        FileLock::acquire(machine.paths.serve_lock(), machine.command_line, machine.lock_wait);
    SharedProgress progress(machine.progress);
    const ContainerHost host{machine.engine, machine.registry,     progress,
                             machine.paths,  machine.command_line, machine.lock_wait};
    LineServerSettings settings;
    settings.socket = machine.paths.serve_socket();
    settings.busy = refused_call(
        Error(ErrorKind::in_use, "there are as many clients as 'drunner serve' takes at once"));
    settings.too_long = refused_call(Error(ErrorKind::usage, "the call is longer than 1 MiB"));
    serve_lines(
        settings, [&](std::string_view line) { return answer_call(host, line); },
        [&] { progress.note("listening on '" + settings.socket + "'"); });
    return {};
}

}  // namespace

constinit const Command serve_command{
    "serve",
    "",
    "answer the calls of 'drunner container' on a socket that only root may use",
    "0 ended by a signal, 1 failed",
    {},
    0,
    0,
    false,
    run};

}  // namespace drunner
