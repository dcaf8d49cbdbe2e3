#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/backup_input.hpp"
#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/result_table.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/side_by_side.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array own_options{snapshot_row, jobs_row};
constexpr auto options = joined(open_key_options, own_options);

// What a good backup is, and what it holds.
struct Verified {
    std::string service;  // empty: it does not name one
    RestoreResult result;
};

Verified verify(Machine& machine, int input, const OpenKey& key) {
    const auto reader = open_backup(input, key);
    const std::string service = reader->header().service;
    return {service, reader->verify([](const BackupReader::Member&) {}, machine.progress)};
}

Verified verify_file(Machine& machine, const std::string& word, const OpenKey& key) {
    const FileDescriptor input = open_backup_input(word);
    return verify(machine, input.get(), key);
}

Verified verify_of_target(Machine& machine, const Arguments& arguments, const OpenKey& key) {
    if (arguments.words.size() != 2) {
        throw Error(ErrorKind::usage, "a target keeps many services' backups: say whose",
                    "drunner verify TARGET SERVICE");
    }
    TargetInput input(machine, arguments.words[0], ServiceName(arguments.words[1]),
                      arguments.value("snapshot"));
    return input.read_by([&] { return verify(machine, input.descriptor(), key); });
}

std::string text_of(const Verified& verified) {
    return "a backup of " +
           (verified.service.empty() ? "a service that it does not name"
                                     : "'" + printable(verified.service) + "'") +
           " with " + std::to_string(verified.result.files) + " files, " +
           human_size(verified.result.original_bytes);
}

json document_of(const Verified& verified) {
    return {{"service", verified.service},
            {"files", verified.result.files},
            {"original_bytes", verified.result.original_bytes}};
}

std::string dumped(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

Answer run_several(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    if (std::find(words.begin(), words.end(), "-") != words.end()) {
        throw Error(ErrorKind::usage, "standard input is one backup, and stands alone",
                    "drunner verify -");
    }
    const OpenKey key = open_key_of(invocation.arguments);
    std::vector<Work> list;
    for (const std::string& word : words) {
        list.push_back({printable(word)});
    }
    std::vector<ResultRow> lines(words.size());
    std::vector<json> rows(words.size());
    std::vector<char> good(words.size());
    work_side_by_side(invocation.machine(), list, jobs_option(invocation.arguments),
                      [&](Machine& machine, std::size_t place) {
                          try {
                              const Verified verified = verify_file(machine, words[place], key);
                              lines[place] = {list[place].name, "good", text_of(verified)};
                              rows[place] = document_of(verified);
                              good[place] = 1;
                          } catch (const Error& error) {
                              if (error.kind() == ErrorKind::interrupted) {
                                  throw;
                              }
                              tell_failure(machine, list[place].name, error);
                              lines[place] = {list[place].name, "failed", error.what()};
                              rows[place] = {{"error", error_document(error)}};
                          }
                          rows[place]["file"] = words[place];
                          rows[place]["good"] = good[place] == 1;
                          return good[place] == 1;
                      });
    const bool all_good = std::find(good.begin(), good.end(), 0) == good.end();
    return {all_good ? ExitCode::done : ExitCode::error, result_table(lines, "FILE", ""),
            dumped({{"command", "verify"}, {"good", all_good}, {"backups", rows}})};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const bool of_target = is_backup_target(arguments.words[0]);
    if (!of_target) {
        refuse_snapshot(arguments);
    }
    if (arguments.words.size() > 1 && !of_target) {
        return run_several(invocation);
    }
    refuse_jobs(arguments, "verify");
    Machine& machine = invocation.machine();
    const OpenKey key = open_key_of(arguments);
    const Verified verified = of_target ? verify_of_target(machine, arguments, key)
                                        : verify_file(machine, arguments.words[0], key);
    json document = document_of(verified);
    document["command"] = "verify";
    return {ExitCode::done, "good: " + text_of(verified) + "\n", dumped(document)};
}

}  // namespace

constinit const Command verify_command{"verify",
                                       "FILE..., TARGET SERVICE, or -",
                                       "prove backups readable to the last byte",
                                       "0 good, 1 one is damaged, or the key does not fit",
                                       options,
                                       1,
                                       std::numeric_limits<std::size_t>::max(),
                                       false,
                                       run,
                                       CheckMode::reads_only};

}  // namespace drunner
