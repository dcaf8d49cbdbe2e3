#include "service/script_runner.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <set>

#include "core/text.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;
using Verdict = HookResult::Verdict;

namespace {

const BashRunnerSettings settings{"/prefix", "/opt/drunner", "/prefix/usr/local/bin", {"EXTRA"}};

HookResult run(const Scratch& scratch, const std::string& body, Hook hook = Hook::install,
               int version = 1, std::string* output = nullptr) {
    HookCall call;
    call.script = scratch.script("servicerunner", "#!/bin/bash\n" + body + "\n");
    call.version = version;
    call.hook = hook;
    call.arguments = {"one", "two words", ""};
    call.operation = "update";
    call.docker_host = "unix:///run/engine.sock";
    call.output = [&](std::string_view bytes) {
        if (output != nullptr) {
            *output += bytes;
        }
    };
    return BashRunner(settings).run_hook(call);
}

}  // namespace

TEST_CASE("hooks have the names of their version") {
    CHECK(hook_name(Hook::backup_start, 1) == "backupstart");
    CHECK(hook_name(Hook::backup_start, 2) == "backup_start");
    CHECK(hook_name(Hook::install, 2) == "install_end");
    CHECK(hook_name(Hook::restore, 2) == "restore_end");
    CHECK(hook_name(Hook::selftest, 2) == "selftest");
    CHECK(hook_name(Hook::check_secret, 1) == "checksecret");
    CHECK(hook_name(Hook::status_end, 1).empty());
    CHECK(hook_name(Hook::command_start, 2) == "servicecmd_start");
}

TEST_CASE("a hook gets its name and arguments untouched, and both its streams are heard") {
    const Scratch scratch;
    std::string output;
    const HookResult result =
        run(scratch, "printf '[%s]' \"$0\" \"$@\"; echo err >&2", Hook::backup_start, 1, &output);
    CHECK(output == "[" + scratch.file("servicerunner") + "][backupstart][one][two words][]err\n");
    CHECK(result.verdict == Verdict::succeeded);
    CHECK(result.last_lines == output);
}

TEST_CASE("a hook reads its input to the end, from no file that has a name") {
    const Scratch scratch;
    HookCall call;
    call.script = scratch.script("servicerunner",
                                 "#!/bin/bash\n[[ ! -t 0 ]] && stat -L -c %h /dev/stdin && cat\n");
    call.hook = Hook::check_secret;
    // More than a pipe holds.
    call.input = Secret(std::string(300'000, 'x'));
    std::string output;
    call.output = [&](std::string_view bytes) { output += bytes; };
    CHECK(BashRunner(settings).run_hook(call).verdict == Verdict::succeeded);
    CHECK(output == "0\n" + std::string(300'000, 'x'));
}

TEST_CASE("exactly the variables of the contract") {
    const Scratch scratch;
    for (const char* name : {"PASS", "SECRET", "EXTRA", "LANG", "https_proxy", "DOCKER_CONFIG"}) {
        setenv(name, "given", 1);
    }
    setenv("DOCKER_HOST", "tcp://elsewhere", 1);
    unsetenv("HOME");
    std::string output;
    run(scratch, "env", Hook::install, 1, &output);
    for (const char* name :
         {"PASS", "SECRET", "EXTRA", "LANG", "https_proxy", "DOCKER_CONFIG", "DOCKER_HOST"}) {
        unsetenv(name);
    }
    setenv("HOME", "/root", 1);
    const std::vector<std::string> lines = split(trim(output), '\n');
    const std::set<std::string> variables(lines.begin(), lines.end());
    CHECK(
        variables.contains("PATH=/opt/drunner:/prefix/usr/local/bin:/usr/local/sbin:"
                           "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    CHECK(variables.contains("DOCKER_HOST=unix:///run/engine.sock"));
    CHECK(variables.contains("DRUNNER_PREFIX=/prefix"));
    CHECK(variables.contains("DRUNNER_OPERATION=update"));
    CHECK(variables.contains("EXTRA=given"));
    CHECK(variables.contains("LANG=given"));
    CHECK(variables.contains("https_proxy=given"));
    CHECK(variables.contains("DOCKER_CONFIG=given"));
    CHECK(variables.contains("PWD=/"));
    const std::set<std::string> allowed{"PATH",           "HOME",
                                        "USER",           "LOGNAME",
                                        "SHELL",          "LANG",
                                        "LC_ALL",         "TZ",
                                        "TERM",           "HOSTNAME",
                                        "DOCKER_HOST",    "DOCKER_CONFIG",
                                        "DRUNNER_PREFIX", "DRUNNER_OPERATION",
                                        "EXTRA",          "HTTP_PROXY",
                                        "HTTPS_PROXY",    "FTP_PROXY",
                                        "ALL_PROXY",      "NO_PROXY",
                                        "http_proxy",     "https_proxy",
                                        "ftp_proxy",      "all_proxy",
                                        "no_proxy",       "PWD",
                                        "SHLVL",          "_"};  // the last three are bash's own
    std::set<std::string> names;
    for (const std::string& line : lines) {
        names.insert(line.substr(0, line.find('=')));
        CAPTURE(line);
        CHECK(allowed.contains(line.substr(0, line.find('='))));
    }
    for (const char* name : {"HOME", "USER", "LOGNAME", "SHELL", "TERM", "HOSTNAME"}) {
        CHECK(names.contains(name));
    }
}

TEST_CASE("PASS reaches no hook, even where the operator names it") {
    const Scratch scratch;
    setenv("PASS", "given", 1);
    HookCall call;
    call.script = scratch.script("servicerunner", "#!/bin/bash\n[[ ! -v PASS ]]\n");
    call.docker_host = "unix:///x";
    CHECK(BashRunner({"", "", "", {"PASS"}}).run_hook(call).verdict == Verdict::succeeded);
    unsetenv("PASS");
}

TEST_CASE("0 and 3 succeed, a silent 127 of version 2 is an absent hook, all else fails") {
    const Scratch scratch;
    CHECK(run(scratch, "exit 0").verdict == Verdict::succeeded);
    CHECK(run(scratch, "exit 3").verdict == Verdict::succeeded);
    CHECK(run(scratch, "exit 1").verdict == Verdict::failed);
    CHECK(run(scratch, "exit 127").verdict == Verdict::failed);
    CHECK(run(scratch, "exit 127", Hook::install, 2).verdict == Verdict::absent);
    CHECK(run(scratch, "no-such-command", Hook::install, 2).verdict == Verdict::failed);
    CHECK(run(scratch, "exit 127", Hook::selftest, 2).verdict == Verdict::failed);
    CHECK(run(scratch, "exit 1", Hook::status_start, 1).verdict == Verdict::absent);
    const HookResult killed = run(scratch, "kill -9 $$");
    CHECK(killed.verdict == Verdict::failed);
    CHECK(killed.status == 137);
}

TEST_CASE("a hook that overruns its time has failed, whatever it answers") {
    const Scratch scratch;
    HookCall call;
    call.script =
        scratch.script("servicerunner", "#!/bin/bash\ntrap 'exit 0' TERM\nsleep 1000 & wait\n");
    call.docker_host = "unix:///x";
    call.limit = std::chrono::seconds(1);
    const HookResult result = BashRunner(settings).run_hook(call);
    CHECK(result.timed_out);
    CHECK(result.status == 0);
    CHECK(result.verdict == Verdict::failed);
}

TEST_CASE("the last fifty lines are kept, in bounded memory") {
    const Scratch scratch;
    const std::vector<std::string> lines =
        split(trim(run(scratch, "seq 1 30000").last_lines), '\n');
    CHECK(lines.size() == 50);
    CHECK(lines.front() == "29951");
    CHECK(lines.back() == "30000");
    CHECK(run(scratch, "printf 'a\\nb'").last_lines == "a\nb");
    CHECK(run(scratch, "printf '\\n\\n'").last_lines == "\n\n");
    CHECK(run(scratch, "true").last_lines.empty());
    CHECK(run(scratch, "head -c 5000000 /dev/zero | tr '\\0' x").last_lines.size() == 65536);
}

TEST_CASE("a command has the caller's environment and the engine's name") {
    const Scratch scratch;
    setenv("PASS", "given", 1);
    setenv("DOCKER_HOST", "tcp://elsewhere", 1);
    const CommandCall call{
        scratch.script("servicerunner",
                       "#!/bin/bash\nprintf '[%s]' \"$@\" \"$PASS\" \"$DOCKER_HOST\" >'" +
                           scratch.file("out") + "'\nexit 42\n"),
        {"dump", "--all", ""},
        "unix:///run/engine.sock"};
    CHECK(BashRunner(settings).run_command(call) == 42);
    unsetenv("PASS");
    unsetenv("DOCKER_HOST");
    CHECK(read_file(scratch.file("out")) == "[dump][--all][][given][unix:///run/engine.sock]");
}
