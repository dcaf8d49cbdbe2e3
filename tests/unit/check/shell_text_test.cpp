#include "check/shell_text.hpp"

#include <doctest/doctest.h>

#include <random>

#include "check/docker_call.hpp"
#include "check/subject.hpp"

namespace drunner::test {
namespace {

std::vector<std::string> names(const ShellText& text) {
    std::vector<std::string> result;
    for (const ShellCommand& command : text.commands) {
        result.push_back(command.name());
    }
    return result;
}

std::vector<std::string> names(std::string_view text) {
    return names(read_shell_text(text));
}

}  // namespace

TEST_CASE("comments, quotes and here-documents hold no commands") {
    CHECK(names("# rm x\necho '# rm x' \"rm; rm\" a#rm # rm\n") ==
          std::vector<std::string>{"echo"});
    CHECK(names("cat <<END | sort\nrm x\n$(rm y)\nEND\ntrue\n") ==
          std::vector<std::string>{"cat", "sort", "true"});
    CHECK(names("cat <<-'END'; true\n\trm x\n\tEND\nfalse") ==
          std::vector<std::string>{"cat", "true", "false"});
    CHECK(names("cat <<< rm\n") == std::vector<std::string>{"cat"});
}

TEST_CASE("a here-document's text is its command's") {
    const ShellText text = read_shell_text("cat >&2 <<HELP\none\ntwo\nHELP\n");
    REQUIRE(text.commands.size() == 1);
    REQUIRE(text.commands[0].here_texts.size() == 1);
    CHECK(text.here_texts[text.commands[0].here_texts[0]] == "one\ntwo\n");
}

TEST_CASE("commands inside of substitutions come first") {
    CHECK(names("echo \"$(dirname \"$(readlink x)\")\" `pwd`") ==
          std::vector<std::string>{"readlink", "dirname", "pwd", "echo"});
    CHECK(names("diff <(ls a) <(ls b)") == std::vector<std::string>{"ls", "ls", "diff"});
    CHECK(names("echo $((1 + (2))) done") == std::vector<std::string>{"echo"});
}

TEST_CASE("reserved words, groups and tests") {
    const ShellText text = read_shell_text(
        "if ! grep -q x y; then a; elif b; then c; else d; fi\n"
        "while read -r line; do e; done <file\n"
        "{ f; } || (g; h)\n"
        "[[ $x =~ ^(a|b)$ && -t 0 ]] && i\n");
    CHECK(names(text) == std::vector<std::string>{"grep", "a", "b", "c", "d", "read", "e", "", "f",
                                                  "g", "h", "[[", "i"});
    CHECK(text.commands[0].condition);
    CHECK_FALSE(text.commands[1].condition);
    CHECK(text.commands[2].condition);
    CHECK(text.commands[8].link == ShellCommand::Link::or_if);
    CHECK(text.commands[11].link == ShellCommand::Link::and_if);
}

TEST_CASE("lines are counted through everything") {
    const ShellText text = read_shell_text("a\n'x\ny' \\\n z\ncat <<E\n1\n2\nE\nb\n");
    REQUIRE(text.commands.size() == 4);
    CHECK(text.commands[1].line == 2);
    CHECK(text.commands[2].line == 5);
    CHECK(text.commands[3].line == 9);
}

TEST_CASE("expansions know their quotes and their defaults") {
    const ShellText text =
        read_shell_text("x $a \"$b\" ${c:-d} \"${e[@]}\" ${f[@]+\"${f[@]}\"} '$g' \\$h");
    REQUIRE(text.commands.size() == 1);
    std::vector<ShellExpansion> all;
    for (const ShellWord& word : text.commands[0].words) {
        all.insert(all.end(), word.expansions.begin(), word.expansions.end());
    }
    REQUIRE(all.size() == 6);
    CHECK(all[0].name == "a");
    CHECK_FALSE(all[0].quoted);
    CHECK(all[1].quoted);
    CHECK(all[2].guarded);
    CHECK(all[3].array);
    CHECK(all[4].quoted);
    CHECK(all[5].quoted);
}

TEST_CASE("assignments and arrays") {
    const ShellText text = read_shell_text("A=1 B=\"$2\" cmd\nC=( x \"y z\" # no\n )\nlocal D=3\n");
    const auto assignments = text.assignments();
    REQUIRE(assignments.size() == 4);
    CHECK(assignments[0].name == "A");
    CHECK(assignments[1].words[0].mentions("2"));
    REQUIRE(assignments[2].words.size() == 2);
    CHECK(assignments[2].words[1].value == "y z");
    CHECK(assignments[3].name == "D");
    CHECK(text.commands[0].name() == "cmd");
}

TEST_CASE("what a verb reaches, through functions that call each other") {
    const ShellText text = read_shell_text(
        "one() { two; }\nfunction two { one; three; }\n"
        "W=${1:-help}\ncase \"$W\" in (a | 'b') one ;; *) four ;; esac\n");
    const auto reached = verb_commands(text, "b");
    REQUIRE(reached);
    std::vector<std::string> reached_names;
    for (const ShellCommand* one : *reached) {
        reached_names.push_back(one->name());
    }
    CHECK(reached_names == std::vector<std::string>{"one", "two", "one", "three"});
    CHECK_FALSE(verb_commands(text, "c"));
    CHECK(verbs_of(text) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a service that calls functions by their names") {
    const ShellText text = read_shell_text("install() { start; }\n\"$@\"\n");
    CHECK(verb_commands(text, "install"));
    CHECK_FALSE(verb_commands(text, "update"));
}

TEST_CASE("programs behind other programs") {
    CHECK(names("exec sudo -n env X=1 timeout -v 60 docker ps") ==
          std::vector<std::string>{"docker"});
}

TEST_CASE("options of docker run, as docker reads them") {
    const ShellText text = read_shell_text(
        "docker container run -itd -p80:80 -v \"$a:/b\" --name=\"x\" --label l=1 "
        "\"${DOCKEROPTS[@]}\" \"$IMAGENAME\" sh -t");
    const auto call = docker_call(text.commands.at(0));
    REQUIRE(call);
    CHECK(call->verb == "run");
    CHECK(call->has("t"));
    CHECK(call->has("d", "detach"));
    CHECK(call->values("p")[0]->value == "80:80");
    CHECK(call->values("name")[0]->value == "x");
    REQUIRE(call->mounts().size() == 1);
    CHECK(call->mounts()[0].target == "/b");
    REQUIRE(call->words.size() == 3);
    CHECK(call->words[0]->mentions("IMAGENAME"));
    CHECK(call->of_own_image());
}

TEST_CASE("text that no shell takes ends, and breaks nothing") {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) {
        deep += "$(";
    }
    read_shell_text(deep);
    std::string nested;
    for (int i = 0; i < 100'000; ++i) {
        nested += "case x in ( y ) ";
    }
    read_shell_text(nested);
    std::mt19937 random(7);
    const std::string pieces[] = {"$(", ")",  "`",    "\"", "'",      "<<E\n", "E\n", "case ",
                                  "in", ";;", "esac", "{",  "}",      "\n",    "a=(", "${x",
                                  "[[", "]]", "#",    "\\", "|",      "&",     "if ", " x ",
                                  "((", "<(", "f()",  ">",  "\xff\0", "done"};
    for (int round = 0; round < 3000; ++round) {
        std::string text;
        for (int i = 0; i < 40; ++i) {
            text += pieces[random() % std::size(pieces)];
        }
        const ShellText read = read_shell_text(text);
        for (const ShellCommand& command : read.commands) {
            CHECK(command.line >= 1);
        }
        for (const ShellCase& one : read.cases) {
            for (const ShellArm& arm : one.arms) {
                CHECK(arm.body.first <= arm.body.last);
                CHECK(arm.body.last <= read.commands.size());
            }
        }
    }
}

}  // namespace drunner::test
