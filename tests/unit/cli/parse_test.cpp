#include "cli/parse.hpp"

#include <doctest/doctest.h>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "core/error.hpp"

namespace drunner::test {
namespace {

using Words = std::vector<std::string>;

std::string complaint(const Words& words) {
    try {
        parse_command_line(words);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("global options stand before or after the command") {
    for (const Words& words : {Words{"--wait", "5", "update", "blog", "--json"},
                               Words{"update", "--json", "blog", "--wait=5"}}) {
        const CommandLine line = parse_command_line(words);
        CHECK(line.command->name == "update");
        CHECK(line.arguments.words == Words{"blog"});
        CHECK(line.arguments.value("wait") == "5");
        CHECK(line.arguments.has("json"));
        CHECK(wants_json(words));
    }
}

TEST_CASE("everything after the service's name is the service's") {
    const CommandLine line =
        parse_command_line({"-v", "enter", "blog", "-c", "echo hi", "--json", "--", "-h"});
    CHECK(line.arguments.has("verbose"));
    CHECK(line.arguments.words == Words{"blog"});
    CHECK(line.arguments.tail == Words{"-c", "echo hi", "--json", "--", "-h"});
    CHECK_FALSE(wants_json({"servicecmd", "blog", "x", "--json"}));
    CHECK(wants_events({"backup", "blog", "--progress", "json"}));
    CHECK(wants_events({"--progress=json", "list"}));
    CHECK_FALSE(wants_events({"backup", "blog", "--progress"}));
    CHECK_FALSE(wants_events({"servicecmd", "blog", "--progress", "json"}));
    CHECK(wants_json({"servicecmd", "--json", "blog", "x"}));
}

TEST_CASE("a single dash is a word, and repeated options keep their order") {
    const CommandLine line =
        parse_command_line({"backup", "blog", "-", "--recipient", "age1b", "--recipient=age1a"});
    CHECK(line.arguments.words == Words{"blog", "-"});
    CHECK(line.arguments.values("recipient") == Words{"age1b", "age1a"});
}

TEST_CASE("what cannot be understood is named, with what was meant") {
    CHECK(complaint({"instal", "x"}).find("'instal'") != std::string::npos);
    CHECK(complaint({"install", "x", "--pul", "never"}).find("--pull") != std::string::npos);
    CHECK(complaint({"install"}).find("IMAGE") != std::string::npos);
    CHECK(complaint({"list", "extra"}).find("'extra'") != std::string::npos);
    CHECK(complaint({"update", "-x"}).find("'-x'") != std::string::npos);
    CHECK(complaint({"update", "blog", "--pull"}).find("needs a value") != std::string::npos);
}

TEST_CASE("every command is in help, with its options") {
    for (const Command& command : commands()) {
        CHECK(help_text().find(std::string(command.name)) != std::string::npos);
        for (const OptionRow& option : command.options) {
            CHECK(help_text(command).find(std::string("--") + option.name) != std::string::npos);
        }
        CHECK((find_command(command.name)->run == command.run));
    }
    CHECK(find_command("nosuch") == nullptr);
}

}  // namespace drunner::test
