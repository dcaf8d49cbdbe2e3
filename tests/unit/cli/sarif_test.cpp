#include "cli/sarif.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace drunner::test {
namespace {

using nlohmann::json;

// Only the properties that SARIF 2.1.0 has for the object, and those that it must have.
void check_object(const json& object, const std::set<std::string>& known,
                  const std::set<std::string>& required) {
    REQUIRE(object.is_object());
    for (const auto& item : object.items()) {
        INFO(item.key());
        CHECK(known.contains(item.key()));
    }
    for (const std::string& key : required) {
        INFO(key);
        CHECK(object.contains(key));
    }
}

void check_message(const json& message) {
    check_object(message, {"text", "markdown", "id", "arguments"}, {"text"});
    CHECK_FALSE(message["text"].get<std::string>().empty());
}

const std::set<std::string> levels{"none", "note", "warning", "error"};

}  // namespace

TEST_CASE("the log has the structure of SARIF 2.1.0") {
    Judgement judgement;
    judgement.findings = {
        {"no-eval", 2, Severity::error, "runs text", "sub dir/\xc3\xa4.sh", 7, "fix", "why"},
        {"platform", 0, Severity::error, "not \xff linux", "", 0, "fix", "why"},
        {"base-fixed", 8, Severity::note, "FROM", "Dockerfile", 0, "fix", "why"},
    };
    judgement.not_judged = {{"bash-syntax", 2, "no bash"}};
    const json log = json::parse(sarif_log(judgement, "team/app:1", "1.2.3"));
    check_object(log, {"$schema", "version", "runs", "properties"}, {"version", "runs"});
    CHECK(log["version"] == "2.1.0");
    REQUIRE(log["runs"].size() == 1);
    const json& run = log["runs"][0];
    check_object(run, {"tool", "results", "properties", "invocations", "artifacts"}, {"tool"});
    CHECK(run["properties"]["level"] == -1);

    const json& driver = run["tool"]["driver"];
    check_object(driver, {"name", "version", "informationUri", "rules"}, {"name"});
    CHECK(driver["version"] == "1.2.3");
    REQUIRE(driver["rules"].size() == all_rules().size());
    for (const json& rule : driver["rules"]) {
        check_object(rule,
                     {"id", "name", "shortDescription", "fullDescription", "help", "helpUri",
                      "defaultConfiguration", "properties"},
                     {"id"});
        check_message(rule["shortDescription"]);
        check_message(rule["fullDescription"]);
        check_message(rule["help"]);
        CHECK(levels.contains(rule["defaultConfiguration"]["level"]));
    }

    REQUIRE(run["results"].size() == 3);
    for (const json& result : run["results"]) {
        check_object(result, {"ruleId", "ruleIndex", "level", "kind", "message", "locations"},
                     {"message"});
        check_message(result["message"]);
        CHECK(levels.contains(result["level"]));
        CHECK(driver["rules"][result["ruleIndex"].get<std::size_t>()]["id"] == result["ruleId"]);
    }
    const json& place = run["results"][0]["locations"][0]["physicalLocation"];
    check_object(place, {"artifactLocation", "region", "contextRegion"}, {"artifactLocation"});
    CHECK(place["artifactLocation"]["uri"] == "drunner/sub%20dir/%C3%A4.sh");
    CHECK(place["region"]["startLine"] == 7);
    CHECK_FALSE(run["results"][1].contains("locations"));
    const json& whole = run["results"][2]["locations"][0]["physicalLocation"];
    CHECK(whole["artifactLocation"]["uri"] == "Dockerfile");
    CHECK_FALSE(whole.contains("region"));
}

}  // namespace drunner::test
