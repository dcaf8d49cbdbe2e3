#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/error_document.hpp"
#include "cli/result_table.hpp"
#include "cli/run.hpp"
#include "cli/sarif.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "operation/side_by_side.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"level", 0, "N", "fail where level N (0 to 8) is not reached; 0 is the contract"},
    OptionRow{"from", 0, "IMAGE", "the release that this one follows; else what is installed"},
    OptionRow{"sarif", 0, nullptr, "answer with one SARIF 2.1.0 document"},
    OptionRow{"rules", 0, nullptr, "list the rules, one a line"},
    OptionRow{"explain", 0, "ID", "say what a rule is for, and how to keep it"},
    jobs_row,
};

std::string dumped(const json& document) {
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

json document_of(const Rule& rule) {
    return {
        {"id", rule.id},       {"level", rule.level}, {"severity", severity_word(rule.severity)},
        {"title", rule.title}, {"why", rule.why},     {"fix", rule.fix}};
}

Answer list_rules() {
    std::string text;
    json rows = json::array();
    for (const Rule& rule : all_rules()) {
        text += fmt::format("{}  {:<7}  {:<28}  {}\n", rule.level, severity_word(rule.severity),
                            rule.id, rule.title);
        rows.push_back(document_of(rule));
    }
    return {ExitCode::done, text, dumped({{"command", "checkimage"}, {"rules", rows}})};
}

Answer explain(const std::string& id) {
    const Rule* rule = find_rule(id);
    if (rule == nullptr) {
        std::vector<std::string> ids;
        for (const Rule& one : all_rules()) {
            ids.emplace_back(one.id);
        }
        const std::string meant = nearest(id, ids);
        throw Error(
            ErrorKind::usage, "there is no rule '" + printable(id) + "'",
            meant.empty() ? "drunner checkimage --rules" : "drunner checkimage --explain " + meant);
    }
    const std::string text =
        fmt::format("{}: {}\n  level {} ({}), {}\n  why: {}\n  fix: {}\n", rule->id, rule->title,
                    rule->level, level_names.at(static_cast<std::size_t>(rule->level)),
                    severity_word(rule->severity), rule->why, rule->fix);
    json document = document_of(*rule);
    document["command"] = "checkimage";
    return {ExitCode::done, text, dumped(document)};
}

int level_asked(const Arguments& arguments) {
    if (!arguments.has("level")) {
        return 0;
    }
    const std::string text = arguments.value("level");
    if (text.size() != 1 || text[0] < '0' || text[0] > '0' + highest_level) {
        throw Error(
            ErrorKind::usage,
            fmt::format("'{}' is no level, there are 0 to {}", printable(text), highest_level),
            "drunner checkimage --rules");
    }
    return text[0] - '0';
}

// A word with a slash that names a directory here is one; every other word is an image.
bool is_directory(const std::string& word) {
    const bool may_be = word.find('/') != std::string::npos || word == "." || word == "..";
    return may_be && file_type(word.ends_with("/") ? word + "." : word) == FileType::directory;
}

std::string place_of(const Finding& finding) {
    if (finding.file.empty()) {
        return {};
    }
    const std::string file = printable(finding.file);
    return finding.line > 0 ? fmt::format("{}:{}: ", file, finding.line) : file + ": ";
}

// One line for each reason: rules of one reason are many.
std::string not_judged_text(const Judgement& judgement) {
    std::vector<std::pair<std::string, std::vector<std::string>>> reasons;
    for (const NotJudged& one : judgement.not_judged) {
        auto found = std::find_if(reasons.begin(), reasons.end(),
                                  [&](const auto& row) { return row.first == one.reason; });
        if (found == reasons.end()) {
            found = reasons.insert(reasons.end(), {one.reason, {}});
        }
        found->second.emplace_back(one.rule);
    }
    std::string text;
    for (const auto& [reason, rules] : reasons) {
        text += fmt::format("not judged, {}: {}\n", printable(reason), join(rules, " "));
    }
    return text;
}

std::string report(const Judgement& judgement, const std::string& subject, bool image) {
    std::string text;
    int level = -1;
    for (const Finding& finding : judgement.findings) {
        if (finding.level != level) {
            level = finding.level;
            text += fmt::format("level {}, {}\n", level,
                                level_names.at(static_cast<std::size_t>(level)));
        }
        text += fmt::format("  {}{}: {} [{}]\n    fix: {}\n", place_of(finding),
                            severity_word(finding.severity), finding.message, finding.rule,
                            finding.fix);
    }
    text += not_judged_text(judgement);
    const int reached = judgement.level_reached();
    if (image) {
        text += fmt::format("'{}' {} be a service\n", subject, reached < 0 ? "cannot" : "can");
    }
    if (reached < 0) {
        return text + fmt::format("'{}' reaches no level\n", subject);
    }
    return text + fmt::format("'{}' reaches level {} of {}, {}{}\n", subject, reached,
                              highest_level, level_names.at(static_cast<std::size_t>(reached)),
                              image ? "" : ", as far as its sources tell");
}

json document_of(const Judgement& judgement, const std::string& subject, bool passes) {
    json rows = json::array();
    for (const Finding& finding : judgement.findings) {
        rows.push_back({{"id", finding.rule},
                        {"level", finding.level},
                        {"severity", severity_word(finding.severity)},
                        {"message", finding.message},
                        {"file", finding.file},
                        {"line", finding.line},
                        {"fix", finding.fix},
                        {"why", finding.why}});
    }
    json not_judged = json::array();
    for (const NotJudged& one : judgement.not_judged) {
        not_judged.push_back({{"id", one.rule}, {"level", one.level}, {"reason", one.reason}});
    }
    return {{"command", "checkimage"}, {"reference", subject},
            {"passes", passes},        {"level", judgement.level_reached()},
            {"findings", rows},        {"not_judged", not_judged}};
}

std::optional<ImageReference> earlier_of(const Arguments& arguments) {
    std::optional<ImageReference> earlier;
    if (arguments.has("from")) {
        earlier.emplace(arguments.value("from"));
    }
    return earlier;
}

// Several: the report of each, and a table of them at the end.
Answer run_several(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const int wanted = level_asked(arguments);
    const std::optional<ImageReference> earlier = earlier_of(arguments);
    const std::vector<std::string>& words = arguments.words;
    std::vector<Work> list;
    for (const std::string& word : words) {
        list.push_back({printable(word)});
    }
    std::vector<ResultRow> lines(words.size());
    std::vector<json> rows(words.size());
    std::vector<char> passed(words.size());
    std::vector<std::optional<Judgement>> judgements(words.size());
    work_side_by_side(
        invocation.machine(), list, jobs_option(arguments),
        [&](Machine& machine, std::size_t place) {
            const std::string& subject = list[place].name;
            try {
                judgements[place] =
                    is_directory(words[place])
                        ? check_build_context(
                              words[place], [&]() -> Machine& { return machine; }, earlier)
                        : check_image(machine, ImageReference(words[place]), earlier);
                const int reached = judgements[place]->level_reached();
                passed[place] = reached >= wanted ? 1 : 0;
                lines[place] = {
                    subject, passed[place] == 1 ? "passes" : "fails",
                    reached < 0 ? "reaches no level"
                                : fmt::format("reaches level {} of {}", reached, highest_level)};
                rows[place] = document_of(*judgements[place], subject, passed[place] == 1);
                rows[place].erase("command");
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::interrupted) {
                    throw;
                }
                tell_failure(machine, subject, error);
                lines[place] = {subject, "failed", error.what()};
                rows[place] = {
                    {"reference", subject}, {"passes", false}, {"error", error_document(error)}};
            }
            return passed[place] == 1;
        });
    const bool passes = std::find(passed.begin(), passed.end(), 0) == passed.end();
    Answer answer;
    answer.code = passes ? ExitCode::done : ExitCode::error;
    for (std::size_t place = 0; place < words.size(); ++place) {
        if (judgements[place]) {
            answer.text +=
                report(*judgements[place], list[place].name, !is_directory(words[place])) + "\n";
        }
    }
    answer.text += result_table(lines, "IMAGE", "");
    answer.document = dumped({{"command", "checkimage"}, {"passes", passes}, {"images", rows}});
    return answer;
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const bool asks_about_rules = arguments.has("rules") || arguments.has("explain");
    if (asks_about_rules != arguments.words.empty()) {
        throw Error(ErrorKind::usage,
                    asks_about_rules ? "--rules and --explain take no image"
                                     : "checkimage takes an image or a directory",
                    "drunner help checkimage");
    }
    if (arguments.has("sarif") && arguments.has("json")) {
        throw Error(ErrorKind::usage, "--sarif and --json are two documents, and one is answered",
                    "drunner help checkimage");
    }
    if (arguments.has("explain")) {
        return explain(arguments.value("explain"));
    }
    if (arguments.has("rules")) {
        return list_rules();
    }
    if (arguments.words.size() > 1) {
        if (arguments.has("sarif")) {
            throw Error(ErrorKind::usage, "--sarif answers with the log of one image",
                        "drunner checkimage --sarif " + printable(arguments.words[0]));
        }
        return run_several(invocation);
    }
    refuse_jobs(arguments, "checkimage");
    const int wanted = level_asked(arguments);
    const std::optional<ImageReference> earlier = earlier_of(arguments);
    const std::string& word = arguments.words[0];
    const bool image = !is_directory(word);
    const Judgement judgement =
        image ? check_image(invocation.machine(), ImageReference(word), earlier)
              : check_build_context(
                    word, [&]() -> Machine& { return invocation.machine(); }, earlier);
    const bool passes = judgement.level_reached() >= wanted;
    const std::string subject = printable(word);
    Answer answer;
    answer.code = passes ? ExitCode::done : ExitCode::error;
    answer.document = dumped(document_of(judgement, subject, passes));
    answer.text = arguments.has("sarif") ? sarif_log(judgement, subject, drunner_version()) + "\n"
                                         : report(judgement, subject, image);
    return answer;
}

}  // namespace

constinit const Command checkimage_command{"checkimage",
                                           "IMAGE... or DIR... (a path with a slash)",
                                           "what keeps an image from being a good service",
                                           "0 it reaches the level, 1 it does not",
                                           options,
                                           0,
                                           std::numeric_limits<std::size_t>::max(),
                                           false,
                                           run};

}  // namespace drunner
