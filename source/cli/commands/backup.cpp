#include <unistd.h>

#include <algorithm>
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
    OptionRow{"pause", 0, nullptr, "pause the service's containers while volumes are read"},
    OptionRow{"stop", 0, nullptr, "stop the service's containers while volumes are read"},
    OptionRow{"exclude", 0, "PATTERN", "leave out what matches, as /cache/*; may be repeated"},
    OptionRow{"with-image", 0, nullptr, "put the image in, so that a restore needs no registry"},
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

WhileReading while_reading(const Arguments& arguments) {
    if (arguments.has("pause") && arguments.has("stop")) {
        throw Error(ErrorKind::usage, "--pause and --stop exclude each other");
    }
    return arguments.has("stop")    ? WhileReading::stopped
           : arguments.has("pause") ? WhileReading::paused
                                    : WhileReading::runs;
}

std::vector<std::string> excludes_of(const Arguments& arguments) {
    std::vector<std::string> patterns = arguments.values("exclude");
    if (std::find(patterns.begin(), patterns.end(), "") != patterns.end()) {
        throw Error(ErrorKind::usage, "--exclude takes a pattern");
    }
    return patterns;
}

std::string changed_words(const BackupResult& result) {
    return result.vanished.empty()
               ? std::string()
               : std::to_string(result.vanished.size()) + " files changed while they were read\n";
}

std::string left_out_words(const BackupReport& report) {
    return report.secrets_left_out.empty()
               ? std::string()
               : "left out: secrets " + join(report.secrets_left_out, ", ") + "\n";
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    BackupRequest request;
    request.level = number_option(arguments, "level", 1, highest_level, default_level);
    request.containers = while_reading(arguments);
    request.excludes = excludes_of(arguments);
    request.with_image = arguments.has("with-image");
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
    nlohmann::json document{{"command", "backup"},
                            {"service", name.text()},
                            {"changed", true},
                            {"file", report.file},
                            {"encrypted", !request.key.empty()},
                            {"excludes", report.excludes}};
    if (!invocation.is_check()) {
        document["files"] = report.result.files;
        document["original_bytes"] = report.result.original_bytes;
        document["written_bytes"] = report.result.written_bytes;
        document["sha256"] = report.result.sha256;
        document["vanished"] = report.result.vanished;
        document["skipped"] = report.result.skipped;
    }
    return {ExitCode::done,
            report.file + "\n" + std::to_string(report.result.files) + " files, " +
                human_size(report.result.original_bytes) + ", written as " +
                human_size(report.result.written_bytes) +
                (request.key.empty() ? ", not encrypted\n" : ", encrypted\n") +
                changed_words(report.result) + left_out_words(report),
            document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
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
    run,
    CheckMode::foretold};

}  // namespace drunner
