#include <array>
#include <nlohmann/json.hpp>

#include "cli/backup_input.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

constexpr std::array own_options{
    OptionRow{"image", 0, "REFERENCE", "restore onto this image"},
    OptionRow{"replace", 0, nullptr, "replace the data of the service, or of volumes, that exist"},
    OptionRow{"partial", 0, nullptr, "go on where backup and image declare different volumes"},
    accept_scripts_row,
};
constexpr auto options = joined(own_options, open_key_options);

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    RestoreRequest request;
    const FileDescriptor input = open_backup_input(arguments.words[0]);
    request.input = input.get();
    request.key = open_key_of(arguments);
    if (arguments.words.size() > 1) {
        request.name = ServiceName(arguments.words[1]);
    }
    if (arguments.has("image")) {
        request.image = ImageReference(arguments.value("image"));
    }
    request.partial = arguments.has("partial");
    request.replace = arguments.has("replace");
    const RestoreReport report = restore(invocation.machine(), request);
    const std::string name = report.manifest.name.text();
    nlohmann::json document{{"command", "restore"},
                            {"service", name},
                            {"changed", true},
                            {"reference", report.manifest.release().reference},
                            {"image_id", report.manifest.release().image_id},
                            {"files", report.result.files},
                            {"original_bytes", report.result.original_bytes}};
    if (!invocation.is_check()) {
        document["missing_secrets"] = report.missing_secrets;
    }
    return {ExitCode::done,
            "restored '" + name + "' (" + std::to_string(report.result.files) + " files)\n",
            document.dump()};
}

}  // namespace

constinit const Command restore_command{
    "restore",
    "FILE or - [SERVICE]",
    "make a service from a backup, under its own or another name",
    "0 restored, 1 failed, everything is as before",
    options,
    1,
    2,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
