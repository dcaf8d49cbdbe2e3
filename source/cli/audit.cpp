#include "cli/audit.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/run.hpp"
#include "host/clock.hpp"

namespace drunner {
namespace {

bool is_setting_name(std::string_view text) {
    return !text.empty() && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
                                std::string_view::npos;
}

std::string without_value(const std::string& word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
        return word;
    }
    const std::string name = word.substr(0, equals);
    if (name.starts_with("--")) {
        return name + "=" + without_value(word.substr(equals + 1));
    }
    return is_setting_name(name) ? name + "=..." : word;
}

// The command's own options; the global ones say how to answer, not what to do.
std::vector<std::string> option_words(const Command& command, const Arguments& arguments) {
    std::vector<std::string> words;
    for (const OptionRow& row : command.options) {
        for (const std::string& value : arguments.values(row.name)) {
            words.push_back("--" + std::string(row.name) +
                            (row.value == nullptr ? "" : "=" + value));
        }
    }
    return words;
}

bool says_changed(const Answer& answer) {
    const auto document = nlohmann::json::parse(answer.document, nullptr, false);
    return document.is_object() && document.value("changed", false);
}

}  // namespace

std::vector<std::string> without_values(std::vector<std::string> words) {
    std::transform(words.begin(), words.end(), words.begin(), without_value);
    return words;
}

OperationAudit::OperationAudit(const Command& command, const Arguments& arguments)
    : may_change_(command.check != CheckMode::reads_only) {
    entry_.caller = caller();
    entry_.version = drunner_version();
    entry_.command = command.name;
    entry_.words = without_values(arguments.words);
    entry_.options = without_values(option_words(command, arguments));
}

void OperationAudit::begin(Machine& machine) {
    machine_ = &machine;
    machine.audited = &entry_.services;
    entry_.at = iso8601(machine.clock.now());
    began_ = std::chrono::steady_clock::now();
}

void OperationAudit::end(const Answer& answer) {
    entry_.exit_code = static_cast<int>(answer.code);
    if (!entry_.services.empty() || (may_change_ && says_changed(answer))) {
        write();
    }
}

void OperationAudit::end(const Error& error) {
    entry_.exit_code = static_cast<int>(ExitCode::error);
    entry_.kind = kind_word(error.kind());
    entry_.rolled_back = error.rolled_back();
    if (!entry_.services.empty()) {
        write();
    }
}

void OperationAudit::write() {
    if (machine_ == nullptr) {
        return;
    }
    machine_->audited = nullptr;
    entry_.milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - began_)
                              .count();
    try {
        AuditTrail(machine_->paths).add(entry_);
    } catch (const std::exception& error) {
        machine_->progress.warning("the audit trail lacks this: " + std::string(error.what()));
    }
}

}  // namespace drunner
