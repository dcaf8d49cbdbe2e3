#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/backup_directory.hpp"
#include "operation/prune.hpp"
#include "service/manifest.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"all", 0, nullptr, "every service that has backups"},
    OptionRow{"keep", 0, "RULES",
              "as RETENTION: last=3 hourly= daily= weekly= monthly= yearly= "
              "within=30d curve=DAYS/MOST/ALWAYS"},
    OptionRow{"verify", 0, nullptr, "read every backup to its end first, not only the newest"},
    OptionRow{"target", 0, "TARGET", "restic:REPOSITORY or rclone:REMOTE:PATH, not BACKUPDIR"},
    OptionRow{"password-file", 0, "FILE", "decrypt with the password in it (else PASS)"},
    OptionRow{"identity", 0, "FILE", "decrypt with the age identities in it"},
};

std::vector<ServiceName> names_of(const Arguments& arguments, const Machine& machine) {
    if (arguments.has("all") == !arguments.words.empty()) {
        throw Error(ErrorKind::usage, "'drunner prune' needs SERVICE... or --all",
                    "drunner help prune");
    }
    if (arguments.has("all")) {
        return arguments.has("target") ? Catalog(machine.paths).names()
                                       : services_with_backups(machine.config.backup_directory);
    }
    std::vector<ServiceName> names;
    for (const std::string& word : arguments.words) {
        names.emplace_back(word);
    }
    return names;
}

json document_of(const ServiceName& name, const PruneResult& result) {
    json backups = json::array();
    for (const PrunedBackup& one : result.backups) {
        backups.push_back({{"file", one.file}, {"at", one.at}, {"rules", one.rules}});
    }
    json damaged = json::array();
    for (const DamagedBackup& one : result.damaged) {
        damaged.push_back({{"file", one.file}, {"reason", one.reason}});
    }
    return {{"service", name.text()},
            {"changed", result.outcome == Outcome::changed},
            {"backups", std::move(backups)},
            {"damaged", std::move(damaged)},
            {"unknown", result.unknown}};
}

std::string text_of(const PruneResult& result) {
    std::string text;
    for (const PrunedBackup& one : result.backups) {
        text += fmt::format("{}  {}\n", printable(one.file),
                            one.rules.empty() ? "goes" : "kept: " + join(one.rules, ", "));
    }
    return text;
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    Machine& machine = invocation.machine();
    const std::vector<ServiceName> names = names_of(arguments, machine);
    std::unique_ptr<BackupTarget> target;
    if (arguments.has("target")) {
        target = make_backup_target(machine, arguments.value("target"));
    }
    PruneRequest request{machine.config.retention, open_key_of(arguments), arguments.has("verify")};
    request.target = target.get();
    // Some of them may be from before there was a key.
    request.key.allow_plain = true;
    if (arguments.has("keep")) {
        request.retention = parse_retention(arguments.value("keep"));
    }
    bool changed = false;
    std::optional<Error> failure;
    std::string text;
    json rows = json::array();
    for (const ServiceName& name : names) {
        try {
            const PruneResult result = prune(machine, name, request);
            changed = changed || result.outcome == Outcome::changed;
            text += text_of(result);
            rows.push_back(document_of(name, result));
        } catch (const Error& error) {
            if (names.size() == 1 || error.kind() == ErrorKind::interrupted) {
                throw;
            }
            machine.progress.warning("'" + name.text() + "': " + error.what());
            failure = failure ? failure : error;
        }
    }
    if (failure) {
        throw Error(failure->kind(),
                    "some services could not be pruned: " + std::string(failure->what()),
                    failure->next());
    }
    return {changed ? ExitCode::done : ExitCode::no_change, text,
            json{{"command", "prune"}, {"changed", changed}, {"services", rows}}.dump(
                -1, ' ', true, json::error_handler_t::replace)};
}

}  // namespace

constinit const Command prune_command{
    "prune",
    "SERVICE... or --all",
    "remove old backups by the rules of RETENTION; the newest whole one always stays",
    "0 removed some, 3 all of them stay, 1 failed",
    options,
    0,
    std::numeric_limits<std::size_t>::max(),
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
