#include "service/audit_trail.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "archive/digest.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/lock.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::size_t file_bytes = 1U << 20U;
constexpr std::size_t kept_files = 100;
constexpr std::chrono::seconds longest_wait{10};
constexpr std::string_view full_prefix = "audit-";
constexpr std::string_view seal = R"(,"sha256":")";
constexpr std::string_view seal_end = R"("})";
constexpr std::size_t digest_digits = 64;

std::string current_file(const Paths& paths) {
    return paths.log_directory() + "/audit.log";
}

// The N of ".../audit-N.log", which is in every such name with the same number of digits; 0 for the
// current file.
unsigned long number_of(const std::string& file) {
    return std::strtoul(base_name(file).c_str() + full_prefix.size(), nullptr, 10);
}

std::vector<std::string> full_files(const Paths& paths) {
    std::vector<std::string> found;
    if (!exists(paths.log_directory())) {
        return found;
    }
    for (const std::string& name : directory_entries(paths.log_directory())) {
        if (name.starts_with(full_prefix) && name.ends_with(".log")) {
            found.push_back(paths.log_directory() + "/" + name);
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

void set_current_aside(const Paths& paths) {
    const std::vector<std::string> full = full_files(paths);
    const unsigned long number = full.empty() ? 1 : number_of(full.back()) + 1;
    rename_new(current_file(paths),
               fmt::format("{}/{}{:06}.log", paths.log_directory(), full_prefix, number));
    for (std::size_t excess = 0; excess + kept_files <= full.size(); ++excess) {
        remove_tree(full[excess]);
    }
}

// The D of a line whose end has the shape of a seal, otherwise empty.
std::string seal_of(std::string_view line) {
    const std::size_t tail = seal.size() + digest_digits + seal_end.size();
    if (line.size() < tail || !line.ends_with(seal_end) ||
        line.substr(line.size() - tail, seal.size()) != seal) {
        return {};
    }
    return std::string(line.substr(line.size() - tail + seal.size(), digest_digits));
}

std::string sealed(std::string_view text) {
    return std::string(text) + std::string(seal) + sha256_hex(as_bytes(text)) +
           std::string(seal_end);
}

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines = split(read_file(path), '\n');
    // Behind the last '\n' is nothing, or what a power cut left.
    lines.pop_back();
    return lines;
}

json state_document(const std::optional<AuditedState>& state) {
    if (!state) {
        return nullptr;
    }
    return {{"release", state->release},
            {"reference", state->reference},
            {"image_id", state->image_id},
            {"image_digest", state->image_digest},
            {"scripts", state->scripts}};
}

std::optional<AuditedState> state_of(const json& document) {
    if (document.is_null()) {
        return std::nullopt;
    }
    return AuditedState{document.at("release"), document.at("reference"), document.at("image_id"),
                        document.at("image_digest"), document.at("scripts")};
}

json document_of(const AuditEntry& entry) {
    json services = json::array();
    for (const AuditedService& service : entry.services) {
        services.push_back({{"service", service.name},
                            {"before", state_document(service.before)},
                            {"after", state_document(service.after)}});
    }
    return {{"at", entry.at},
            {"uid", entry.caller.uid},
            {"sudo_user", entry.caller.sudo_user},
            {"version", entry.version},
            {"command", entry.command},
            {"words", entry.words},
            {"options", entry.options},
            {"services", std::move(services)},
            {"milliseconds", entry.milliseconds},
            {"exit", entry.exit_code},
            {"kind", entry.kind},
            {"rolled_back", entry.rolled_back}};
}

AuditEntry entry_of(const json& document) {
    std::vector<AuditedService> services;
    for (const json& service : document.at("services")) {
        services.push_back(
            {service.at("service"), state_of(service.at("before")), state_of(service.at("after"))});
    }
    return {document.at("at"),         {document.at("uid"), document.at("sudo_user")},
            document.at("version"),    document.at("command"),
            document.at("words"),      document.at("options"),
            std::move(services),       document.at("milliseconds"),
            document.at("exit"),       document.at("kind"),
            document.at("rolled_back")};
}

// The first of all lines has nothing before it.
std::string no_line() {
    return std::string(digest_digits, '0');
}

// Why a line is not whole, or not behind the line with this D (where that is known).
std::string reason_of(const std::string& line, const std::optional<std::string>& previous) {
    const std::string digest = seal_of(line);
    if (digest.empty()) {
        return "it has no digest at its end";
    }
    const std::size_t text = line.size() - seal.size() - digest_digits - seal_end.size();
    if (sha256_hex(as_bytes(std::string_view(line).substr(0, text))) != digest) {
        return "it is not as it was written";
    }
    const json document = json::parse(line, nullptr, false);
    if (previous && (!document.is_object() || document.value("previous", "") != *previous)) {
        return "it was not written behind the line before it";
    }
    return {};
}

}  // namespace

std::string to_json(const AuditEntry& entry) {
    return document_of(entry).dump(-1, ' ', true, json::error_handler_t::replace);
}

std::vector<std::string> AuditTrail::files() const {
    std::vector<std::string> found = full_files(paths_);
    if (exists(current_file(paths_))) {
        found.push_back(current_file(paths_));
    }
    return found;
}

void AuditTrail::add(const AuditEntry& entry) const {
    const FileLock lock =
        FileLock::acquire(paths_.audit_lock(), "drunner " + entry.command, longest_wait);
    make_directories(paths_.log_directory());
    const std::vector<std::string> before = files();
    std::string previous = no_line();
    if (!before.empty()) {
        const std::vector<std::string> lines = lines_of(before.back());
        previous = lines.empty() ? std::string() : seal_of(lines.back());
        if (before.back() == current_file(paths_) &&
            std::filesystem::file_size(before.back()) >= file_bytes) {
            set_current_aside(paths_);
        }
    }
    std::string text = to_json(entry);
    text.back() = ',';
    append_line(current_file(paths_), sealed(text + R"("previous":")" + previous + '"'));
}

std::vector<AuditEntry> AuditTrail::entries() const {
    std::vector<AuditEntry> entries;
    for (const std::string& file : files()) {
        for (const std::string& line : lines_of(file)) {
            try {
                entries.push_back(entry_of(json::parse(line)));
            } catch (const json::exception&) {
                continue;
            }
        }
    }
    return entries;
}

AuditTrail::Verdict AuditTrail::verify() const {
    Verdict verdict;
    // Before the first of all lines is none; before the oldest that is kept may have been others.
    std::optional<std::string> previous;
    for (const std::string& file : files()) {
        if (!previous && number_of(file) <= 1) {
            previous = no_line();
        }
        std::size_t number = 0;
        for (const std::string& line : lines_of(file)) {
            ++number;
            const std::string reason = reason_of(line, previous);
            if (!reason.empty() && !verdict.fault) {
                verdict.fault = AuditFault{file, number, reason};
            }
            previous = seal_of(line);
            verdict.digests.push_back(*previous);
        }
    }
    return verdict;
}

}  // namespace drunner
