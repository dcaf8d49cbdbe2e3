#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/backup_input.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
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
    accept_scripts_row,
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
    std::string text;
    json rows = json::array();
    for (const ServiceRestore& one : restore_all(invocation.machine(), directory, request)) {
        if (one.report) {
            changed = true;
            text += text_of(*one.report);
            json row = document_of(*one.report, invocation.is_check());
            row["file"] = one.file;
            rows.push_back(std::move(row));
        } else if (one.error) {
            code = ExitCode::error;
            text += "'" + one.name.text() + "' failed\n";
            rows.push_back({{"service", one.name.text()},
                            {"changed", false},
                            {"file", one.file},
                            {"error", error_document(*one.error)}});
        } else {
            text += "'" + one.name.text() + "' is installed\n";
            rows.push_back({{"service", one.name.text()}, {"changed", false}});
        }
    }
    if (changed && code == ExitCode::no_change) {
        code = ExitCode::done;
    }
    return {code, text, dumped({{"command", "restore"}, {"changed", changed}, {"services", rows}})};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    if (arguments.has("all")) {
        return run_all(invocation);
    }
    RestoreRequest request = request_of(arguments);
    const FileDescriptor input = open_backup_input(arguments.words[0]);
    request.input = input.get();
    if (arguments.words.size() > 1) {
        request.name = ServiceName(arguments.words[1]);
    }
    if (arguments.has("image")) {
        request.image = ImageReference(arguments.value("image"));
    }
    const RestoreReport report = restore(invocation.machine(), request);
    json document = document_of(report, invocation.is_check());
    document["command"] = "restore";
    return {ExitCode::done, text_of(report), dumped(document)};
}

}  // namespace

constinit const Command restore_command{
    "restore",
    "FILE or - [SERVICE], or --all DIRECTORY",
    "make a service from a backup, under its own or another name",
    "0 restored, 3 (--all) all are installed, 1 failed, everything is as before",
    options,
    1,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
