#include "check/rules.hpp"

#include <algorithm>
#include <utility>

#include "check/contract.hpp"

namespace drunner {
namespace {

constexpr std::size_t most_places = 20;

std::vector<Rule> joined() {
    std::vector<Rule> rules;
    for (const auto& part :
         {contract_rules(), user_rules(), privilege_rules(), secret_rules(), script_file_rules(),
          script_rules(), host_rules(), docker_rules(), volume_rules(), verb_rules(),
          health_rules(), backup_rules(), documentation_rules(), supply_rules(), context_rules()}) {
        rules.insert(rules.end(), part.begin(), part.end());
    }
    std::stable_sort(rules.begin(), rules.end(),
                     [](const Rule& a, const Rule& b) { return a.level < b.level; });
    return rules;
}

void add_findings(const Rule& rule, const Subject& subject, std::vector<Finding>& findings) {
    std::vector<Found> found = rule.check(subject);
    const std::size_t more = found.size() > most_places ? found.size() - most_places : 0;
    found.resize(found.size() - more);
    if (more > 0) {
        found.back().message += " (and " + std::to_string(more) + " more of these)";
    }
    for (Found& one : found) {
        findings.push_back({rule.id, rule.level, rule.severity, std::move(one.message),
                            std::move(one.file), one.line, rule.fix, rule.why});
    }
}

}  // namespace

std::string_view severity_word(Severity severity) {
    switch (severity) {
        case Severity::error:
            return "error";
        case Severity::warning:
            return "warning";
        case Severity::note:
            return "note";
    }
    return "";
}

const std::vector<Rule>& all_rules() {
    static const std::vector<Rule> rules = joined();
    return rules;
}

const Rule* find_rule(std::string_view id) {
    const auto& rules = all_rules();
    const auto found =
        std::find_if(rules.begin(), rules.end(), [&](const Rule& one) { return one.id == id; });
    return found == rules.end() ? nullptr : &*found;
}

int Judgement::level_reached() const {
    int reached = highest_level;
    for (const Finding& finding : findings) {
        if (finding.severity == Severity::error) {
            reached = std::min(reached, finding.level - 1);
        }
    }
    return reached;
}

Judgement judge(const ImageFacts& facts) {
    const Subject subject(facts, Subject::Scripts::read);
    Judgement judgement;
    for (const Rule& rule : all_rules()) {
        std::string obstacle = subject.obstacle(rule.needs);
        if (obstacle.empty()) {
            add_findings(rule, subject, judgement.findings);
        } else {
            judgement.not_judged.push_back({rule.id, rule.level, std::move(obstacle)});
        }
    }
    return judgement;
}

std::vector<Finding> check_contract(const ImageFacts& facts) {
    const Subject subject(facts, Subject::Scripts::left);
    std::vector<Finding> findings;
    for (const Rule& rule : contract_rules()) {
        add_findings(rule, subject, findings);
    }
    return findings;
}

}  // namespace drunner
