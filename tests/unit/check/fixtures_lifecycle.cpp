#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

// Without the arm, and with a test of the word instead of one.
Fixture verb(const std::string& name) {
    return {"verb-" + name, [name](Draft& draft) { draft.without_arm(name); },
            [name](Draft& draft) {
                draft.without_arm(name);
                draft.functions += "extra() {\nif [ \"$1\" = " + name + " ]; then exit 0; fi\n}\n";
            }};
}

std::vector<Fixture> verb_fixtures() {
    std::vector<Fixture> all;
    for (const char* name : {"install", "uninstall", "obliterate", "backupstart", "backupend",
                             "restore", "updatestart", "updateend", "help", "enter", "selftest"}) {
        all.push_back(verb(name));
    }
    const std::vector<Fixture> others{
        {"verb-checksecret",
         [](Draft& draft) { draft.config += "SECRETS=('key|required|the key|check')\n"; },
         [](Draft& draft) {
             draft.config += "SECRETS=('key|required|the key|check')\n";
             draft.arm("checksecret") = "grep -q KEY";
         }},
        arm("unknown-word-fails", "*", "show_help", "show_help; exit 1"),
        {"no-reserved-word", [](Draft& draft) { draft.arm("backup") = "true"; },
         [](Draft& draft) { draft.arm("backups") = "true"; }},
        {"no-arm-twice", [](Draft& draft) { draft.arms.emplace_back("late", "true"); },
         [](Draft& draft) { draft.arm("early") = "true"; }},
        {"works-without-words", [](Draft& draft) { draft.arguments = "SUBCOMMAND=$1\nshift\n"; },
         [](Draft& draft) {
             draft.arguments = "if [[ $# -eq 0 ]]; then exit 0; fi\nSUBCOMMAND=$1\nshift\n";
         }},
        arm("removal-ends-containers", "uninstall", "echo bye", "docker rm -f x"),
        arm("update-changes-containers", "updateend", "echo done", "docker start x"),
        {"arguments-reach-program",
         [](Draft& draft) {
             draft.facts.entrypoint = {"/bin/sh", "-c", "serve"};
         },
         [](Draft& draft) {
             draft.facts.entrypoint = {"/bin/sh", "-c", "exec \"$@\"", "--"};
         }},
        {"shell-to-enter", [](Draft& draft) { draft.facts.shells.erase("/bin/bash"); },
         [](Draft& draft) {
             draft.facts.shells.erase("/bin/bash");
             draft.arm("enter") = "dockerrun /bin/sh \"$@\"";
         }},
        {"commands-kept",
         [](Draft& draft) {
             draft.facts.earlier->runner = "case $1 in install) ;; reindex) ;; esac";
         },
         [](Draft& draft) {
             draft.facts.earlier->runner = "case $1 in install) ;; start) ;; esac";
         }},
        {"version-kept", [](Draft& draft) { draft.facts.earlier->config.version = 2; },
         [](Draft& draft) { draft.config += "VERSION=2\n"; }},
        line("containers-named-by-service", "docker run --name web x",
             "docker run --name \"$SERVICENAME-web\" x"),
        line("containers-known", "docker run -d redis",
             "docker run -d --label \"drunner.service=$SERVICENAME\" redis"),
        line("nothing-pruned", "docker volume prune -f",
             "docker rm $(docker ps -q --filter label=drunner.service=x)"),
        line("image-stays", "docker pull redis", "docker inspect redis"),
        line("images-declared", "docker run busybox true", "docker run \"$IMAGENAME\" true"),
        line("own-image-pinned", "docker run \"$IMAGEREF\"", "echo \"$IMAGEREF\""),
    };
    all.insert(all.end(), others.begin(), others.end());
    return all;
}

std::vector<Fixture> health_fixtures() {
    return {
        {"health-known",
         [](Draft& draft) {
             draft.facts.has_healthcheck = false;
             draft.config += "SELFTEST=no\n";
         },
         [](Draft& draft) { draft.facts.has_healthcheck = false; }},
        {"has-healthcheck", [](Draft& draft) { draft.facts.has_healthcheck = false; },
         [](Draft& draft) { draft.config += "SELFTEST=no\n"; }},
        config("selftest-gates", "SELFTEST=no", "SELFTEST=yes"),
        {"selftest-exists", [](Draft& draft) { draft.without_arm("selftest"); },
         [](Draft& draft) {
             draft.without_arm("selftest");
             draft.config += "SELFTEST=no\n";
         }},
        arm("selftest-tests", "selftest", "echo well; true", "test -e /x"),
        arm("selftest-can-fail", "selftest", "docker exec x true || true",
            "docker exec x true || die no"),
        line("comes-back", "docker run -d --name \"$SERVICENAME\" x", "docker run -d --rm x"),
        line("stays-stopped", "docker run -d --restart=always x",
             "docker run -d --restart on-failure x always"),
        {"hears-signals",
         [](Draft& draft) {
             draft.facts.command = {"/bin/sh", "-c", "serve --now"};
         },
         [](Draft& draft) {
             draft.facts.command = {"/bin/sh", "-c", "exec serve --now"};
         }},
        line("waits-for-stop", "docker kill x", "docker kill -s HUP x"),
        line("no-endless-wait", "docker wait x; true", "timeout 60 docker wait x; true"),
    };
}

std::vector<Fixture> backup_fixtures() {
    return {
        arm("unpaused-after-backup", "backupend", "echo done", "docker unpause x"),
        {"started-after-backup", [](Draft& draft) { draft.arm("backupstart") = "docker stop x"; },
         [](Draft& draft) {
             draft.arm("backupstart") = "docker stop x";
             draft.arm("backupend") = "docker start x";
         }},
        arm("backupend-asks", "backupend", "docker unpause x",
            "container_paused x && docker unpause x"),
        arm("dump-read-back", "restore", "echo done", "load_from \"$1\""),
        arm("dump-found-again", "restore", "load <\"$1/backup.sql\"", "load <\"$1/dump\""),
        arm("quiet-while-read", "backupstart", "true", "docker exec x sync"),
        {"something-saved",
         [](Draft& draft) {
             draft.config += "VOLUMES=()\n";
             draft.arm("backupstart") = "true";
         },
         [](Draft& draft) { draft.config += "VOLUMES=()\n"; }},
        config("not-everything-left-out", "BACKUP_EXCLUDE=(\"**/*\")",
               "BACKUP_EXCLUDE=(\"*.tmp\")"),
        config("patterns-relative", "BACKUP_EXCLUDE=(\"/data/cache/*\")",
               "BACKUP_EXCLUDE=(\"cache/*\")"),
        arm("no-archive-elsewhere", "backupstart", "dump >/var/backups/x", "dump >\"$1/dump\""),
        line("no-drunner-inside", "drunner backup other", "drunner status other"),
    };
}

}  // namespace

std::vector<Fixture> lifecycle_fixtures() {
    std::vector<Fixture> all;
    for (const auto& part : {verb_fixtures(), health_fixtures(), backup_fixtures()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace drunner::test
