#include "cli/sarif.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace drunner {
namespace {

using nlohmann::json;

// RFC 3986: everything but unreserved characters and '/' is escaped.
std::string uri_of(std::string_view path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string uri;
    for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        if (plain) {
            uri += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            uri += '%';
            uri += digits[byte >> 4U];
            uri += digits[byte & 15U];
        }
    }
    return uri;
}

json text_of(std::string_view text) {
    return {{"text", text}};
}

json rule_of(const Rule& rule) {
    return {{"id", rule.id},
            {"shortDescription", text_of(rule.title)},
            {"fullDescription", text_of(rule.why)},
            {"help", text_of(rule.fix)},
            {"defaultConfiguration", {{"level", severity_word(rule.severity)}}},
            {"properties", {{"level", rule.level}}}};
}

json result_of(const Finding& finding) {
    const auto& rules = all_rules();
    const Rule* rule = find_rule(finding.rule);
    json result{{"ruleId", finding.rule},
                {"ruleIndex", rule - rules.data()},
                {"level", severity_word(finding.severity)},
                {"message", text_of(finding.message)}};
    if (!finding.file.empty()) {
        const std::string path =
            finding.file == "Dockerfile" ? finding.file : "drunner/" + finding.file;
        json location{{"artifactLocation", {{"uri", uri_of(path)}}}};
        if (finding.line > 0) {
            location["region"] = {{"startLine", finding.line}};
        }
        result["locations"] = json::array({{{"physicalLocation", location}}});
    }
    return result;
}

}  // namespace

std::string sarif_log(const Judgement& judgement, std::string_view subject,
                      std::string_view version) {
    json rules = json::array();
    for (const Rule& rule : all_rules()) {
        rules.push_back(rule_of(rule));
    }
    json results = json::array();
    for (const Finding& finding : judgement.findings) {
        results.push_back(result_of(finding));
    }
    json not_judged = json::array();
    for (const NotJudged& one : judgement.not_judged) {
        not_judged.push_back({{"id", one.rule}, {"reason", one.reason}});
    }
    const json run{
        {"tool",
         {{"driver", {{"name", "drunner checkimage"}, {"version", version}, {"rules", rules}}}}},
        {"results", results},
        {"properties",
         {{"subject", subject}, {"level", judgement.level_reached()}, {"notJudged", not_judged}}}};
    return json{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                {"version", "2.1.0"},
                {"runs", json::array({run})}}
        .dump(2, ' ', true, json::error_handler_t::replace);
}

}  // namespace drunner
