#include <nlohmann/json.hpp>

#include "cli/backup_input.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const FileDescriptor input = open_backup_input(arguments.words[0]);
    const OpenKey key = open_key_of(arguments);
    const auto reader = open_backup(input.get(), key);
    const std::string service = reader->header().service;
    const RestoreResult result =
        reader->verify([](const BackupReader::Member&) {}, invocation.machine().progress);
    return {
        ExitCode::done,
        "good: a backup of " +
            (service.empty() ? "a service that it does not name" : "'" + printable(service) + "'") +
            " with " + std::to_string(result.files) + " files, " +
            human_size(result.original_bytes) + "\n",
        nlohmann::json{{"command", "verify"},
                       {"service", service},
                       {"files", result.files},
                       {"original_bytes", result.original_bytes}}
            .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command verify_command{"verify",
                                       "FILE or -",
                                       "prove a backup readable to the last byte",
                                       "0 good, 1 damaged, or the key does not fit",
                                       open_key_options,
                                       1,
                                       1,
                                       false,
                                       run,
                                       CheckMode::reads_only};

}  // namespace drunner
