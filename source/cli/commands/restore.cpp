#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/backup_input.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array own_options{
    OptionRow{"all", 0, nullptr, "every service of a BACKUPDIR, from its newest whole backup"},
    OptionRow{"image", 0, "REFERENCE", "restore onto this image"},
    OptionRow{"replace", 0, nullptr, "replace the data of the service, or of volumes, that exist"},
    OptionRow{"partial", 0, nullptr, "go on where backup and image declare different volumes"},
    snapshot_row,
    accept_scripts_row,
    jobs_row,
};
constexpr auto options = joined(own_options, open_key_options);

RestoreRequest request_of(const Arguments& arguments) {
    RestoreRequest request;
    request.key = open_key_of(arguments);
    request.partial = arguments.has("partial");
    request.replace = arguments.has("replace");
    return request;
}

json document_of(const RestoreReport& report, bool is_check) {
    json document{{"service", report.manifest.name.text()},
                  {"changed", true},
                  {"reference", report.manifest.release().reference},
                  {"image_id", report.manifest.release().image_id},
                  {"files", report.result.files},
                  {"original_bytes", report.result.original_bytes}};
    if (!is_check) {
        document["missing_secrets"] = report.missing_secrets;
        document["streamed"] = report.streamed;
    }
    return document;
}

std::string text_of(const RestoreReport& report) {
    return "restored '" + report.manifest.name.text() + "' (" +
           std::to_string(report.result.files) + " files)\n";
}

std::string dumped(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

Answer run_all(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.words.size() > 1 || arguments.has("image") || arguments.has("replace")) {
        throw Error(ErrorKind::usage,
                    "'drunner restore --all' takes a directory, and no SERVICE, "
                    "--image or --replace",
                    "drunner help restore");
    }
    RestoreRequest request = request_of(arguments);
    // Some of the backups may be from before there was a key.
    request.key.allow_plain = true;
    const std::string directory = std::filesystem::absolute(arguments.words[0]).string();
    ExitCode code = ExitCode::no_change;
    bool changed = false;
    std::vector<ResultRow> lines;
    json rows = json::array();
    for (const ServiceRestore& one :
         restore_all(invocation.machine(), directory, request, jobs_option(arguments))) {
        if (one.report) {
            changed = true;
            lines.push_back(
                {one.name.text(), "restored",
                 one.file + " (" + std::to_string(one.report->result.files) + " files)"});
            json row = document_of(*one.report, invocation.is_check());
            row["file"] = one.file;
            rows.push_back(std::move(row));
        } else if (one.error) {
            code = ExitCode::error;
            lines.push_back({one.name.text(), "failed", one.error->what()});
            rows.push_back({{"service", one.name.text()},
                            {"changed", false},
                            {"file", one.file},
                            {"error", error_document(*one.error)}});
        } else {
            lines.push_back({one.name.text(), "installed", {}});
            rows.push_back({{"service", one.name.text()}, {"changed", false}});
        }
        rows.back()["result"] = lines.back().result;
    }
    if (changed && code == ExitCode::no_change) {
        code = ExitCode::done;
    }
    return {code, result_table(lines, "SERVICE", "there is no service"),
            dumped({{"command", "restore"}, {"changed", changed}, {"services", rows}})};
}

RestoreReport restore_file(const Invocation& invocation, RestoreRequest request) {
    const std::vector<std::string>& words = invocation.arguments.words;
    refuse_snapshot(invocation.arguments);
    if (words.size() > 2) {
        throw Error(ErrorKind::usage, "a file holds one service, which gets one name",
                    "drunner restore FILE SERVICE");
    }
    const FileDescriptor input = open_backup_input(words[0]);
    request.input = input.get();
    if (words.size() > 1) {
        request.name = ServiceName(words[1]);
    }
    return restore(invocation.machine(), request);
}

RestoreReport restore_target(const Invocation& invocation, RestoreRequest request) {
    const std::vector<std::string>& words = invocation.arguments.words;
    if (words.size() < 2) {
        throw Error(ErrorKind::usage, "a target keeps many services' backups: say whose",
                    "drunner restore TARGET SERVICE");
    }
    const ServiceName service(words[1]);
    request.name = words.size() > 2 ? ServiceName(words[2]) : service;
    Machine& machine = invocation.machine();
    TargetInput input(machine, words[0], service, invocation.arguments.value("snapshot"));
    request.input = input.descriptor();
    return input.read_by([&] { return restore(machine, request); });
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.has("all")) {
        return run_all(invocation);
    }
    refuse_jobs(arguments, "restore");
    const std::vector<std::string>& words = arguments.words;
    RestoreRequest request = request_of(arguments);
    if (arguments.has("image")) {
        request.image = ImageReference(arguments.value("image"));
    }
    const RestoreReport report = is_backup_target(words[0]) ? restore_target(invocation, request)
                                                            : restore_file(invocation, request);
    json document = document_of(report, invocation.is_check());
    document["command"] = "restore";
    return {ExitCode::done, text_of(report), dumped(document)};
}

}  // namespace

constinit const Command restore_command{
    "restore",
    "FILE or - [SERVICE], or TARGET SERVICE [NAME], or --all DIRECTORY",
    "make a service from a backup, under its own or another name",
    "0 restored, 3 (--all) all are installed, 1 failed, everything is as before",
    options,
    1,
    3,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
