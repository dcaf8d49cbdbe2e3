#include "service/operator_config.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

OperatorConfig loaded(const Scratch& scratch, const std::string& text) {
    const Paths paths(scratch.path());
    make_directories(parent_of(paths.config_file()));
    write_file(paths.config_file(), text);
    return load_operator_config(paths);
}

std::string refusal(const std::string& text) {
    const Scratch scratch;
    try {
        loaded(scratch, text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::settings);
        CHECK(std::string(error.what()).find("/etc/drunner/config.sh' line 2: ") !=
              std::string::npos);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("without a file the defaults hold, below the prefix") {
    const OperatorConfig config = load_operator_config(Paths("/nowhere"));
    CHECK(config.pull == PullPolicy::automatic);
    CHECK(config.backup_directory == "/nowhere/var/lib/drunner/backups");
    CHECK(config.launcher_directory == "/nowhere/usr/local/bin");
    CHECK_FALSE(config.hook_timeout);
    CHECK(config.snapshot == SnapshotPolicy::automatic);
    CHECK(config.snapshot_limit == 2ULL << 30U);
    CHECK(config.health_uptime == std::chrono::seconds(10));
    CHECK_FALSE(config.engine_timeout);
    CHECK(config.undelete_age == std::chrono::hours(31 * 24));
    CHECK(config.backup_max_age.count() == 0);
}

TEST_CASE("how long final backups are kept, and how old the newest backup may be") {
    const Scratch scratch;
    const OperatorConfig config = loaded(scratch, "UNDELETEDAYS=7\nBACKUPMAXAGE=26h\n");
    CHECK(config.undelete_age == std::chrono::hours(7 * 24));
    CHECK(config.backup_max_age == std::chrono::hours(26));
    CHECK(loaded(scratch, "UNDELETEDAYS=0").undelete_age.count() == 0);
    for (const char* value : {"-1", "7d", "3651", ""}) {
        CHECK(refusal("\nUNDELETEDAYS=" + std::string(value)).find("number of days") !=
              std::string::npos);
    }
    CHECK(refusal("\nBACKUPMAXAGE=old").find("no duration") != std::string::npos);
}

TEST_CASE("the settings are data, however they are quoted") {
    const Scratch scratch;
    const OperatorConfig config =
        loaded(scratch,
               "# settings\r\n\nPULL=never # not from here\r\n  BACKUPDIR=\"/with space/$(id)\"\n"
               "LAUNCHERDIR='/it is'\nHOOKENV=\"A, B\tC_1\"\nRECIPIENTS=age1abc\nHOOKTIMEOUT=30m\n"
               "A_LATER_KEY=whatever\n");
    CHECK(config.pull == PullPolicy::never);
    CHECK(config.backup_directory == "/with space/$(id)");
    CHECK(config.launcher_directory == "/it is");
    CHECK(config.hook_env == std::vector<std::string>{"A", "B", "C_1"});
    CHECK(config.recipients == std::vector<std::string>{"age1abc"});
    CHECK(config.hook_timeout == std::chrono::minutes(30));
    CHECK(loaded(scratch, "HOOKTIMEOUT=0").hook_timeout == std::chrono::seconds(0));
    CHECK(loaded(scratch, "HOOKTIMEOUT=90").hook_timeout == std::chrono::seconds(90));
    CHECK(loaded(scratch, "ENGINETIMEOUT=5").engine_timeout == std::chrono::seconds(5));
    CHECK(loaded(scratch, "HOOKTIMEOUT=6h").hook_timeout == std::chrono::hours(6));
    CHECK(loaded(scratch, "HEALTHUPTIME=1m").health_uptime == std::chrono::minutes(1));
    CHECK(loaded(scratch, "SNAPSHOT=off").snapshot == SnapshotPolicy::off);
    CHECK(loaded(scratch, "SNAPSHOT=copy").snapshot == SnapshotPolicy::copy);
    CHECK(loaded(scratch, "SNAPSHOT=reflink").snapshot == SnapshotPolicy::reflink);
    CHECK(loaded(scratch, "SNAPSHOT=auto").snapshot == SnapshotPolicy::automatic);
    CHECK(loaded(scratch, "SNAPSHOTLIMIT=0").snapshot_limit == 0);
    CHECK(loaded(scratch, "SNAPSHOTLIMIT=500").snapshot_limit == 500);
    CHECK(loaded(scratch, "SNAPSHOTLIMIT=3K").snapshot_limit == 3 * 1024);
    CHECK(loaded(scratch, "SNAPSHOTLIMIT=3MiB").snapshot_limit == 3 * 1024 * 1024);
    CHECK(loaded(scratch, "SNAPSHOTLIMIT=1TB").snapshot_limit == 1ULL << 40U);
    CHECK(loaded(scratch, "BACKUPDIR=\"/a\\\"\\\\b\"").backup_directory == "/a\"\\b");
}

TEST_CASE("a malformed line is refused with its file and number") {
    for (const char* line : {"PULL",
                             "PULL=often",
                             "PULL=",
                             "BACKUPDIR=relative",
                             "BACKUPDIR=\"/x",
                             "BACKUPDIR='/x",
                             "BACKUPDIR=/a /b",
                             "BACKUPDIR='/a'b",
                             "LAUNCHERDIR=",
                             "HOOKENV=1A",
                             "HOOKENV=\"A PASS\"",
                             "RECIPIENTS=ssh-rsa",
                             "HOOKTIMEOUT=",
                             "HOOKTIMEOUT=-1",
                             "HOOKTIMEOUT=1w",
                             "HOOKTIMEOUT=99999999999999999999",
                             "HOOKTIMEOUT=99999999999h",
                             "ENGINETIMEOUT=0",
                             "HEALTHUPTIME=x",
                             "SNAPSHOT=on",
                             "SNAPSHOT=",
                             "SNAPSHOTLIMIT=",
                             "SNAPSHOTLIMIT=-1",
                             "SNAPSHOTLIMIT=2X",
                             "SNAPSHOTLIMIT=2Gb",
                             "SNAPSHOTLIMIT=99999999999T",
                             "SNAPSHOTLIMIT=99999999999999999999",
                             "export PULL=auto",
                             "if true"}) {
        CAPTURE(line);
        CHECK_FALSE(refusal(std::string("# one\n") + line + "\n").empty());
    }
}

TEST_CASE("REVIEW has three words") {
    const Scratch scratch;
    CHECK(loaded(scratch, "").review == Review::off);
    CHECK(loaded(scratch, "REVIEW=show\n").review == Review::show);
    CHECK(loaded(scratch, "REVIEW=pin\n").review == Review::pin);
    CHECK(refusal("\nREVIEW=always\n").find("off, show or pin") != std::string::npos);
}

TEST_CASE("the words of the pull policies") {
    for (const char* word : {"auto", "always", "missing", "never"}) {
        CHECK(pull_policy_word(*parse_pull_policy(word)) == word);
    }
    CHECK_FALSE(parse_pull_policy("Auto"));
    CHECK_FALSE(parse_pull_policy(""));
}

TEST_CASE("commands and variables for other programs") {
    const Scratch scratch;
    const OperatorConfig config = loaded(
        scratch, "ON_FAILURE='mail -s \"$DRUNNER_JOB\" root'\nTARGETENV='A=1  B_2=x=y C='\n");
    CHECK(config.on_failure == "mail -s \"$DRUNNER_JOB\" root");
    CHECK(config.target_env == std::vector<std::string>{"A=1", "B_2=x=y", "C="});
    CHECK(refusal("PULL=auto\nTARGETENV='A=1 secret'").find("NAME=VALUE is meant") !=
          std::string::npos);
    CHECK(refusal("PULL=auto\nTARGETENV=1A=x").find("'1A'") != std::string::npos);
}
