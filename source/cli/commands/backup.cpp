#include <unistd.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"password-file", 0, "FILE", "encrypt with the password in it (else PASS)"},
    OptionRow{"recipient", 0, "AGE1...", "encrypt for this age recipient; may be repeated"},
    OptionRow{"level", 0, "1..19", "zstd compression level, default 3"},
};

constexpr int default_level = 3;
constexpr int highest_level = 19;

BackupKey key_of(const Arguments& arguments, const OperatorConfig& config) {
    BackupKey key;
    key.password = password_of(arguments);
    key.recipients = arguments.values("recipient");
    if (!key.password.empty() && !key.recipients.empty()) {
        throw Error(ErrorKind::usage, "a password and --recipient exclude each other");
    }
    if (key.empty()) {
        key.recipients = config.recipients;
    }
    return key;
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    BackupRequest request;
    request.level = number_option(arguments, "level", 1, highest_level, default_level);
    const std::string file = arguments.words.size() > 1 ? arguments.words[1] : "";
    if (file == "-") {
        if (isatty(STDOUT_FILENO) == 1) {
            throw Error(ErrorKind::usage, "a backup is not written to a terminal",
                        "drunner backup " + name.text() + " - > FILE");
        }
        request.output = STDOUT_FILENO;
    } else if (!file.empty()) {
        request.file = std::filesystem::absolute(file).string();
    }
    Machine& machine = invocation.machine_of(name);
    request.key = key_of(arguments, machine.config);
    const BackupReport report = backup(machine, name, request);
    if (request.output >= 0) {
        return {};  // stdout carries the backup
    }
    return {ExitCode::done,
            report.file + "\n" + std::to_string(report.result.files) + " files, " +
                human_size(report.result.original_bytes) + ", written as " +
                human_size(report.result.written_bytes) +
                (request.key.empty() ? ", not encrypted\n" : ", encrypted\n"),
            nlohmann::json{{"command", "backup"},
                           {"service", name.text()},
                           {"changed", true},
                           {"file", report.file},
                           {"files", report.result.files},
                           {"original_bytes", report.result.original_bytes},
                           {"written_bytes", report.result.written_bytes},
                           {"sha256", report.result.sha256},
                           {"encrypted", !request.key.empty()},
                           {"vanished", report.result.vanished},
                           {"skipped", report.result.skipped}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command backup_command{
    "backup",
    "SERVICE [FILE or -]",
    "write everything of a service to one file",
    "0 written and verified, 1 failed, and nothing stands under the file's name",
    options,
    1,
    2,
    false,
    run};

}  // namespace drunner
