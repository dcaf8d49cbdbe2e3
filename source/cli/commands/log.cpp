#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "service/audit_trail.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"lines", 'n', "N", "the last N only"},
    OptionRow{"verify", 0, nullptr, "is every line as it was written, behind the one before it"},
    OptionRow{"head", 0, "SHA256", "with --verify: a line of this digest must be there"},
};

constexpr int most_lines = 1'000'000;

bool concerns(const AuditEntry& entry, const std::string& service) {
    return std::find(entry.words.begin(), entry.words.end(), service) != entry.words.end() ||
           std::any_of(entry.services.begin(), entry.services.end(),
                       [&](const AuditedService& one) { return one.name == service; });
}

std::string release_words(const AuditedService& service) {
    const auto number = [](const std::optional<AuditedState>& state) {
        return state ? std::to_string(state->release) : std::string("-");
    };
    return service.before == service.after
               ? ""
               : fmt::format("  {}: {} -> {}", service.name, number(service.before),
                             number(service.after));
}

// "2026-11-23T10:00:00+00:00  root (alice)  0  update blog --image=blog:2  blog: 1 -> 2".
std::string line_of(const AuditEntry& entry) {
    const std::string who = entry.caller.uid == 0 ? "root" : std::to_string(entry.caller.uid);
    const std::string result = entry.kind.empty()
                                   ? std::to_string(entry.exit_code)
                                   : fmt::format("{} {}{}", entry.exit_code, entry.kind,
                                                 entry.rolled_back ? ", rolled back" : "");
    std::string text =
        fmt::format("{}  {}{}  {}  {}", entry.at, who,
                    entry.caller.sudo_user.empty() ? "" : " (" + entry.caller.sudo_user + ")",
                    result, entry.command);
    for (const auto* words : {&entry.words, &entry.options}) {
        for (const std::string& word : *words) {
            text += " " + word;
        }
    }
    for (const AuditedService& service : entry.services) {
        text += release_words(service);
    }
    return printable(text) + "\n";
}

Answer verify(const AuditTrail& trail, const Arguments& arguments) {
    const AuditTrail::Verdict verdict = trail.verify();
    if (verdict.fault) {
        throw Error(ErrorKind::broken,
                    fmt::format("line {} of '{}': {}", verdict.fault->line, verdict.fault->file,
                                verdict.fault->reason),
                    "compare it with a copy; what is behind it is not proven");
    }
    const std::vector<std::string>& digests = verdict.digests;
    if (arguments.has("head")) {
        const std::string head = digest_of_word(arguments.value("head"));
        if (std::find(digests.begin(), digests.end(), head) == digests.end()) {
            throw Error(ErrorKind::broken, "no line of the audit trail has the digest '" + head +
                                               "': it was rewritten, or shortened");
        }
    }
    const std::string head = digests.empty() ? "" : digests.back();
    return {ExitCode::done,
            fmt::format("{} lines, all as they were written{}\n", digests.size(),
                        head.empty() ? "" : "; the last: " + head),
            json{{"command", "log"}, {"lines", digests.size()}, {"head", head}}.dump()};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const AuditTrail trail(invocation.machine().paths);
    if (arguments.has("verify")) {
        return verify(trail, arguments);
    }
    std::vector<AuditEntry> entries = trail.entries();
    if (!arguments.words.empty()) {
        const std::string service = ServiceName(arguments.words[0]).text();
        std::erase_if(entries, [&](const AuditEntry& entry) { return !concerns(entry, service); });
    }
    const auto lines =
        static_cast<std::size_t>(number_option(arguments, "lines", 1, most_lines, most_lines));
    if (entries.size() > lines) {
        entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(lines));
    }
    std::string text;
    json rows = json::array();
    for (const AuditEntry& entry : entries) {
        text += line_of(entry);
        rows.push_back(json::parse(to_json(entry)));
    }
    return {ExitCode::done, text, json{{"command", "log"}, {"entries", rows}}.dump()};
}

}  // namespace

constinit const Command log_command{
    "log",
    "[SERVICE]",
    "who did what to the services of this host, from the audit trail",
    "0 answered, 1 failed, or (--verify) a line is not as it was written",
    options,
    0,
    1,
    false,
    run,
    CheckMode::reads_only};

}  // namespace drunner
