#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/backup_target.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"all", 0, nullptr, "every service, each to a file of its own in BACKUPDIR"},
    OptionRow{"password-file", 0, "FILE", "encrypt with the password in it (else PASS)"},
    OptionRow{"recipient", 0, "AGE1...", "encrypt for this age recipient; may be repeated"},
    OptionRow{"pause", 0, nullptr, "pause the service's containers while volumes are read"},
    OptionRow{"stop", 0, nullptr, "stop the service's containers while volumes are read"},
    OptionRow{"exclude", 0, "PATTERN", "leave out what matches, as /cache/*; may be repeated"},
    OptionRow{"with-image", 0, nullptr, "put the image in, so that a restore needs no registry"},
    OptionRow{"level", 0, "1..19", "zstd compression level, default 3"},
    jobs_row,
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

BackupRequest request_of(const Arguments& arguments) {
    BackupRequest request;
    request.level = number_option(arguments, "level", 1, highest_level, default_level);
    request.containers = while_reading(arguments);
    request.excludes = excludes_of(arguments);
    request.with_image = arguments.has("with-image");
    request.want_sha256 = arguments.has("json");
    return request;
}

std::string text_of(const BackupReport& report, bool is_encrypted) {
    return report.file + "\n" + std::to_string(report.result.files) + " files, " +
           human_size(report.result.original_bytes) + ", written as " +
           human_size(report.result.written_bytes) +
           (is_encrypted ? ", encrypted\n" : ", not encrypted\n") + changed_words(report.result) +
           left_out_words(report);
}

json document_of(const ServiceName& name, const BackupReport& report, bool is_encrypted,
                 bool is_check) {
    json document{{"service", name.text()},
                  {"changed", true},
                  {"file", report.file},
                  {"encrypted", is_encrypted},
                  {"excludes", report.excludes}};
    if (!is_check) {
        document["files"] = report.result.files;
        document["original_bytes"] = report.result.original_bytes;
        document["written_bytes"] = report.result.written_bytes;
        document["sha256"] = report.result.sha256;
        document["vanished"] = report.result.vanished;
        document["skipped"] = report.result.skipped;
        document["streamed"] = report.streamed;
    }
    return document;
}

std::string dumped(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string line_of(const BackupReport& report, bool is_encrypted) {
    return report.file + " (" + std::to_string(report.result.files) + " files, " +
           human_size(report.result.original_bytes) + ", written as " +
           human_size(report.result.written_bytes) +
           (is_encrypted ? ", encrypted)" : ", not encrypted)");
}

// Every service; one that fails does not stop the others.
Answer run_all(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const bool to_target = arguments.words.size() == 1 && is_backup_target(arguments.words[0]);
    if (!arguments.words.empty() && !to_target) {
        throw Error(ErrorKind::usage,
                    "--all and '" + printable(arguments.words[0]) + "' exclude each other",
                    "drunner backup --all");
    }
    BackupRequest request = request_of(arguments);
    const unsigned jobs = jobs_option(arguments);
    Machine& machine = invocation.machine();
    request.key = key_of(arguments, machine.config);
    std::unique_ptr<BackupTarget> target;
    if (to_target) {
        target = make_backup_target(machine, arguments.words[0]);
        request.target = target.get();
    }
    const bool is_encrypted = !request.key.empty();
    std::vector<ResultRow> lines;
    json rows = json::array();
    bool changed = false;
    bool failed = false;
    for (const ServiceBackup& one : backup_all(machine, request, jobs)) {
        if (one.report) {
            changed = true;
            lines.push_back({one.name.text(), "written", line_of(*one.report, is_encrypted)});
            rows.push_back(document_of(one.name, *one.report, is_encrypted, invocation.is_check()));
        } else {
            failed = true;
            lines.push_back({one.name.text(), "failed", one.error->what()});
            rows.push_back({{"service", one.name.text()},
                            {"changed", false},
                            {"error", error_document(*one.error)}});
        }
        rows.back()["result"] = lines.back().result;
    }
    const ExitCode code = failed         ? ExitCode::error
                          : rows.empty() ? ExitCode::no_change
                                         : ExitCode::done;
    return {code, result_table(lines, "SERVICE", "no service is installed"),
            dumped({{"command", "backup"}, {"changed", changed}, {"services", rows}})};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.has("all")) {
        return run_all(invocation);
    }
    if (arguments.words.empty()) {
        throw Error(ErrorKind::usage, "'drunner backup' needs SERVICE or --all",
                    "drunner help backup");
    }
    refuse_jobs(arguments, "backup");
    const ServiceName name(arguments.words[0]);
    BackupRequest request = request_of(arguments);
    const std::string file = arguments.words.size() > 1 ? arguments.words[1] : "";
    if (file == "-") {
        if (isatty(STDOUT_FILENO) == 1) {
            throw Error(ErrorKind::usage, "a backup is not written to a terminal",
                        "drunner backup " + name.text() + " - > FILE");
        }
        request.output = STDOUT_FILENO;
    } else if (!file.empty() && !is_backup_target(file)) {
        request.file = std::filesystem::absolute(file).string();
    }
    Machine& machine = invocation.machine_of(name);
    request.key = key_of(arguments, machine.config);
    std::unique_ptr<BackupTarget> target;
    if (is_backup_target(file)) {
        target = make_backup_target(machine, file);
        request.target = target.get();
    }
    const BackupReport report = backup(machine, name, request);
    if (request.output >= 0) {
        return {};  // stdout carries the backup
    }
    json document = document_of(name, report, !request.key.empty(), invocation.is_check());
    document["command"] = "backup";
    return {ExitCode::done, text_of(report, !request.key.empty()), dumped(document)};
}

}  // namespace

constinit const Command backup_command{
    "backup",
    "SERVICE [FILE, TARGET or -], or --all [TARGET]",
    "write everything of a service to one file, or hand it to restic or rclone",
    "0 written and verified, 3 (--all) there is no service, 1 failed, and nothing stands under "
    "the file's name",
    options,
    0,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
