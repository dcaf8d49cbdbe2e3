#include <fmt/format.h>

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
    const auto reader = open_backup(input.get(), open_key_of(arguments));
    const BackupHeader header = reader->header();
    std::string text =
        header.from_old_tool
            ? fmt::format("service   {}\nimage     {}\ncreated   by the drunner of 2016\n",
                          header.service.empty() ? "not named" : printable(header.service),
                          printable(header.image_reference))
            : fmt::format("service   {}\nimage     {} ({}{})\ncreated   {} by drunner {}\n",
                          printable(header.service), printable(header.image_reference),
                          printable(header.image_id), header.image_embedded ? ", embedded" : "",
                          printable(header.created_at), printable(header.drunner_version));
    nlohmann::json volumes = nlohmann::json::array();
    for (const BackupVolume& volume : header.volumes) {
        text += header.from_old_tool
                    ? fmt::format("volume    {}\n", printable(volume.name))
                    : fmt::format("volume    {} ({}{})\n", printable(volume.path),
                                  printable(volume.name), volume.streamed ? ", streamed" : "");
        volumes.push_back(
            {{"path", volume.path}, {"name", volume.name}, {"streamed", volume.streamed}});
    }
    std::vector<std::string> secrets;
    for (const auto& [name, content] : header.secrets) {
        secrets.push_back(name);
        text += fmt::format("secret    {}\n", printable(name));
    }
    for (const std::string& name : header.secrets_left_out) {
        text += fmt::format("left out  secret {}\n", printable(name));
    }
    nlohmann::json members = nlohmann::json::array();
    const RestoreResult result = reader->verify(
        [&](const BackupReader::Member& member) {
            text += fmt::format("{:<8} {:04o} {:>12} {}{}{}\n", member.type, member.mode,
                                member.size, printable(member.volume),
                                member.volume.empty() || member.name.empty() ? "" : "/",
                                printable(member.name));
            members.push_back({{"volume", member.volume},
                               {"name", member.name},
                               {"type", member.type},
                               {"mode", member.mode},
                               {"size", member.size}});
        },
        invocation.machine().progress);
    return {ExitCode::done, text,
            nlohmann::json{{"command", "show"},
                           {"service", header.service},
                           {"reference", header.image_reference},
                           {"image_id", header.image_id},
                           {"image_embedded", header.image_embedded},
                           {"created_at", header.created_at},
                           {"from_old_tool", header.from_old_tool},
                           {"volumes", volumes},
                           {"secrets", secrets},
                           {"secrets_left_out", header.secrets_left_out},
                           {"files", result.files},
                           {"original_bytes", result.original_bytes},
                           {"members", members}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command show_command{"show",
                                     "FILE or -",
                                     "list what a backup holds",
                                     "0 shown, 1 damaged, or the key does not fit",
                                     open_key_options,
                                     1,
                                     1,
                                     false,
                                     run,
                                     CheckMode::reads_only};

}  // namespace drunner
