#include "check/rules.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "check/contract.hpp"
#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

std::vector<Fixture> all_fixtures() {
    std::vector<Fixture> all;
    for (const auto& part : {image_fixtures(), script_fixtures(), volume_fixtures(),
                             lifecycle_fixtures(), supply_fixtures()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

ImageFacts facts_after(const std::function<void(Draft&)>& change) {
    Draft draft;
    change(draft);
    return draft.build();
}

// How often the rule was found broken; -1 where it was not judged.
int found(const ImageFacts& facts, std::string_view rule) {
    const Judgement judgement = judge(facts);
    if (std::any_of(judgement.not_judged.begin(), judgement.not_judged.end(),
                    [&](const NotJudged& one) { return one.rule == rule; })) {
        return -1;
    }
    return static_cast<int>(std::count_if(judgement.findings.begin(), judgement.findings.end(),
                                          [&](const Finding& one) { return one.rule == rule; }));
}

}  // namespace

TEST_CASE("the draft keeps every rule") {
    for (const bool context : {false, true}) {
        Draft draft;
        draft.is_context = context;
        const Judgement judgement = judge(draft.build());
        for (const Finding& finding : judgement.findings) {
            FAIL_CHECK(finding.rule << ": " << finding.message << " at " << finding.file << ":"
                                    << finding.line);
        }
        CHECK(judgement.level_reached() == highest_level);
        CHECK(check_contract(draft.build()).empty());
    }
}

TEST_CASE("every rule is broken by one fixture and kept by another") {
    std::set<std::string> seen;
    for (const Fixture& fixture : all_fixtures()) {
        CAPTURE(fixture.rule);
        CHECK(find_rule(fixture.rule) != nullptr);
        seen.insert(fixture.rule);
        CHECK(found(facts_after(fixture.breaks), fixture.rule) > 0);
        CHECK(found(facts_after(fixture.keeps), fixture.rule) == 0);
    }
    for (const Rule& rule : all_rules()) {
        INFO("no fixture for ", rule.id);
        CHECK(seen.contains(std::string(rule.id)));
    }
}

TEST_CASE("the table is complete, in order, and says something for each rule") {
    CHECK(all_rules().size() >= 90);
    std::set<std::string_view> ids;
    std::set<std::string_view> reasons;
    std::map<int, int> of_level;
    int level = 0;
    for (const Rule& rule : all_rules()) {
        CAPTURE(rule.id);
        CHECK(ids.insert(rule.id).second);
        CHECK(rule.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
              std::string_view::npos);
        CHECK(rule.level >= level);
        CHECK(rule.level <= highest_level);
        level = rule.level;
        ++of_level[rule.level];
        CHECK_FALSE(rule.title.empty());
        CHECK_FALSE(rule.fix.empty());
        CHECK(rule.why.size() > 20);
        reasons.insert(rule.why);
        CHECK(rule.why.back() != '.');
    }
    CHECK(of_level.size() == highest_level + 1);
}

TEST_CASE("the contract is level 0, and keeps its ids and their order") {
    std::vector<std::string> ids;
    for (const Rule& rule : all_rules()) {
        if (rule.level == 0) {
            ids.emplace_back(rule.id);
        }
    }
    CHECK(ids == std::vector<std::string>{"platform", "user-not-root", "user-resolves",
                                          "drunner-directory", "servicecfg-present",
                                          "servicerunner-present", "servicerunner-not-empty",
                                          "servicerunner-shebang", "servicerunner-line-ends",
                                          "servicecfg-valid", "generated-names"});
}

TEST_CASE("a finding names the file and the line") {
    const Judgement judgement = judge(facts_after(
        [](Draft& draft) { draft.first_line = "#!/usr/bin/env bash\n# two\neval \"$1\""; }));
    const auto finding = std::find_if(judgement.findings.begin(), judgement.findings.end(),
                                      [](const Finding& one) { return one.rule == "no-eval"; });
    REQUIRE(finding != judgement.findings.end());
    CHECK(finding->file == "servicerunner");
    CHECK(finding->line == 3);
    CHECK(finding->level == 2);
    CHECK(judgement.level_reached() == 1);
}

TEST_CASE("of one rule twenty places are told, and how many more there are") {
    const Judgement judgement = judge(facts_after([](Draft& draft) {
        for (int i = 0; i < 30; ++i) {
            draft.functions += "eval x\n";
        }
    }));
    std::vector<std::string> messages;
    for (const Finding& finding : judgement.findings) {
        if (finding.rule == "no-eval") {
            messages.push_back(finding.message);
        }
    }
    REQUIRE(messages.size() == 20);
    CHECK(messages.back().find("10 more") != std::string::npos);
}

TEST_CASE("warnings and notes keep no image from a level") {
    const Judgement judgement = judge(facts_after([](Draft& draft) {
        draft.facts.labels.clear();
        draft.facts.has_healthcheck = false;
    }));
    CHECK(judgement.findings.size() == 5);
    CHECK(judgement.level_reached() == highest_level);
}

TEST_CASE("a rule whose facts are missing is not judged, and says why") {
    Draft draft;
    draft.facts.lint.reset();
    draft.facts.lint_problem = "shellcheck is not installed";
    draft.facts.earlier.reset();
    const Judgement judgement = judge(draft.build());
    std::map<std::string_view, std::string> reasons;
    for (const NotJudged& one : judgement.not_judged) {
        reasons[one.rule] = one.reason;
    }
    CHECK(reasons["shellcheck-errors"] == "shellcheck is not installed");
    CHECK(reasons["none-left-out"].find("--from") != std::string::npos);
    CHECK(reasons.contains("dockerfile-user"));
    CHECK_FALSE(reasons.contains("bash-syntax"));
}

TEST_CASE("nothing is looked at that is not known") {
    const std::vector<std::function<void(ImageFacts&)>> losses{
        [](ImageFacts& facts) {
            facts.files.reset();
            facts.config.reset();
            facts.files_problem = "the image has no directory /drunner";
        },
        [](ImageFacts& facts) { facts.files->clear(); },
        [](ImageFacts& facts) { facts.config.reset(); },
        [](ImageFacts& facts) { facts.resolved_user.reset(); },
        [](ImageFacts& facts) { facts.earlier = EarlierFacts{}; },
    };
    for (const bool context : {false, true}) {
        for (const auto& lose : losses) {
            Draft draft;
            draft.is_context = context;
            ImageFacts facts = draft.build();
            lose(facts);
            const Judgement judgement = judge(facts);
            CHECK(judgement.findings.size() + judgement.not_judged.size() > 0);
        }
    }
}

TEST_CASE("a servicerunner in another language is not judged as shell") {
    Draft draft;
    draft.file("servicerunner").content = "#!/usr/bin/env python3\nimport sys\n";
    CHECK(found(draft.build(), "verb-install") == -1);
    CHECK(found(draft.build(), "stops-at-errors") == -1);
}

}  // namespace drunner::test
