#include "operation/target_program.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>

#include "archive/digest.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr int not_found = 127;
constexpr std::chrono::seconds longest_cleaning{60};
constexpr std::size_t most_words = 2000;
// A signal may reach another thread: this one looks up so often.
constexpr int tick_ms = 200;

// Until the pipe can be written to, or read from.
void wait_for(int pipe, short events, const std::string& program) {
    const auto until = std::chrono::steady_clock::now() + longest_silence;
    pollfd one{pipe, events, 0};
    while (poll(&one, 1, tick_ms) <= 0) {
        check_cancellation();
        if (std::chrono::steady_clock::now() >= until) {
            throw Error(ErrorKind::timed_out, "'" + program + "' does nothing any more");
        }
    }
}

}  // namespace

TargetProgram::TargetProgram(const Machine& machine, std::string name,
                             std::vector<std::string> variables)
    : name_(std::move(name)) {
    std::map<std::string, std::string> all;
    for (const auto& list : {own_environment(), machine.config.target_env, variables}) {
        for (const std::string& variable : list) {
            all[variable.substr(0, variable.find('='))] = variable;
        }
    }
    all["PATH"] = "PATH=" + machine.caller_path;
    all.erase("PASS");  // drunner's own
    for (const auto& [key, variable] : all) {
        environment_.push_back(variable);
    }
}

std::unique_ptr<StreamedProcess> TargetProgram::start(std::vector<std::string> arguments,
                                                      StreamedProcess::Ours ours) const {
    arguments.insert(arguments.begin(), name_);
    return std::make_unique<StreamedProcess>(std::move(arguments), environment_, ours);
}

ExitStatus TargetProgram::try_run(std::vector<std::string> arguments, std::string& output,
                                  std::string& errors) const {
    // Its stdin is at its end at once.
    const auto process = start(std::move(arguments), StreamedProcess::Ours::input);
    const ExitStatus status = process->finish(longest_call);
    output = process->output();
    errors = process->errors();
    return status;
}

std::string TargetProgram::run(std::vector<std::string> arguments) const {
    std::string output;
    std::string errors;
    if (const ExitStatus status = try_run(std::move(arguments), output, errors); status != 0) {
        throw failure(status, errors);
    }
    return output;
}

void TargetProgram::run_tolerantly(const std::vector<std::string>& arguments) const {
    const CancellationShield shield;
    BoundedProcess process;
    process.arguments = {"/usr/bin/env", name_};
    process.arguments.insert(process.arguments.end(), arguments.begin(), arguments.end());
    process.environment = environment_;
    process.limit = longest_cleaning;
    try {
        run_bounded(process);
    } catch (const std::exception&) {
        return;
    }
}

Error TargetProgram::failure(ExitStatus status, const std::string& errors) const {
    if (status == not_found) {
        return Error(ErrorKind::system, "the program '" + name_ + "' is not here",
                     "apt-get install " + name_);
    }
    const std::string_view said = trim(errors);
    const std::string words =
        printable(said.substr(said.size() - std::min(said.size(), most_words)));
    return Error(ErrorKind::system, "'" + name_ + "' failed with status " + std::to_string(status) +
                                        (words.empty() ? "" : ": " + words));
}

void write_to(StreamedProcess& process, const TargetProgram& program, Bytes bytes) {
    while (!bytes.empty()) {
        check_cancellation();
        const ssize_t written = write(process.pipe(), bytes.data(), bytes.size());
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
            continue;
        }
        const int error = errno;
        if (error == EINTR) {
            continue;
        }
        if (error == EAGAIN) {
            wait_for(process.pipe(), POLLOUT, program.name());
            continue;
        }
        if (error == EPIPE && process.has_ended()) {
            throw program.failure(process.status(), process.errors());
        }
        throw system_error("cannot write to '" + program.name() + "'", error);
    }
}

std::string sha256_of_output(StreamedProcess& process, const TargetProgram& program) {
    Sha256 sum;
    std::array<std::byte, 65536> buffer{};
    while (true) {
        wait_for(process.pipe(), POLLIN, program.name());
        const ssize_t got = read(process.pipe(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error("cannot read from '" + program.name() + "'", errno);
        }
        if (got == 0) {
            break;
        }
        sum.update(Bytes(buffer.data(), static_cast<std::size_t>(got)));
    }
    if (const ExitStatus status = process.finish(longest_call); status != 0) {
        throw program.failure(status, process.errors());
    }
    return sum.hex();
}

void ProgramDownload::explain() {
    if (process_->has_ended() && process_->status() != 0) {
        throw program_.failure(process_->status(), process_->errors());
    }
}

}  // namespace drunner
