#include <doctest/doctest.h>

#include "service/templates.hpp"
#include "unit/host/scratch.hpp"
#include "unit/service/bash_judge.hpp"

using namespace drunner;
using drunner::test::ask_bash;
using drunner::test::BashAnswer;
using drunner::test::Scratch;

namespace {

// A host with utils.sh and a docker that knows one running and one paused container, one volume,
// and "runs" a command on this machine after it has written down its arguments.
class Host {
  public:
    Host() {
        write_file(scratch_.file("utils.sh"), utils_sh());
        scratch_.script("docker", R"(#!/bin/bash
printf '[%s]' "$@" >>")" + scratch_.file("calls") +
                                      R"("
case "$1 $2" in
    'container inspect')
        for name in web paused; do
            # As docker does, also by the beginning of an ID.
            if [[ $5 == "$name" || $5 == abc ]]; then
                case $4 in
                    *Paused*) [[ $name == paused ]] && state=true || state=false ;;
                    *) state=true ;;
                esac
                echo "/$name $state"
                exit 0
            fi
        done
        exit 1 ;;
    'volume inspect') [[ $5 == data ]] && echo data || exit 1 ;;
    'run '*)
        while [[ $1 != image ]]; do
            if [[ $1 == --entrypoint ]]; then entrypoint=$2; fi
            shift
        done
        shift
        exec ${entrypoint-} "$@" ;;
esac
)");
    }

    BashAnswer ask(const std::string& program, const std::string& before = "") const {
        return ask_bash("set -euo pipefail\nDOCKEROPTS=(--label x=y)\nIMAGENAME=image\n" + before +
                            "\nsource " + scratch_.file("utils.sh") + "\n" + program,
                        {}, scratch_.path() + ":/usr/bin:/bin");
    }
    std::string calls() const { return read_file(scratch_.file("calls")); }
    const Scratch& scratch() const { return scratch_; }

  private:
    static std::string utils_sh() { return template_file("utils.sh"); }

    Scratch scratch_;
};

}  // namespace

TEST_CASE("utils.sh passes shellcheck") {
    const Host host;
    const BashAnswer answer = ask_bash("shellcheck " + host.scratch().file("utils.sh"));
    CHECK(answer.output.empty());
    CHECK(answer.status == 0);
}

TEST_CASE("die says why on stderr and exits") {
    const Host host;
    const BashAnswer answer = host.ask("die 'no luck' 3 2>&1 >/dev/null; echo not here");
    CHECK(answer.output == "\nno luck\n\n");
    CHECK(answer.status == 3);
    CHECK(host.ask("die x").status == 1);
    CHECK(host.ask("printf '%s' \"$ECODE$CODE_S$CODE_E\"").output == "\x1b\x1b[32m\x1b[0m");
}

TEST_CASE("what a service defines itself stays, before and after") {
    const Host host;
    for (const std::string name :
         {"die", "elementIn", "isHook", "container_exists", "container_running", "container_paused",
          "volumeexists", "dockerrun", "utils_import", "utils_export"}) {
        CAPTURE(name);
        CHECK(host.ask("declare -F " + name).status == 0);
        CHECK(host.ask(name + " x", name + "() { echo mine; }").output == "mine\n");
        CHECK(host.ask(name + "() { echo mine; }; " + name + " x").output == "mine\n");
    }
    CHECK(host.ask("echo $CODE_S$CODE_E", "CODE_S=a; readonly CODE_E=b").output == "ab\n");
    CHECK(host.ask("CODE_S=a; echo $CODE_S").output == "a\n");
}

TEST_CASE("elementIn and isHook") {
    const Host host;
    CHECK(host.ask("elementIn b a b c").status == 0);
    CHECK(host.ask("elementIn '*' a b").status == 1);
    CHECK(host.ask("elementIn b").status == 1);
    CHECK(host.ask("isHook backup_start").status == 0);
    CHECK(host.ask("isHook backupstart").status == 1);
    CHECK(host.ask("isHook").status == 1);
}

TEST_CASE("containers and volumes are matched by their whole name") {
    const Host host;
    CHECK(host.ask("container_exists web && container_running web").status == 0);
    CHECK(host.ask("container_paused web").status == 1);
    CHECK(host.ask("container_paused paused && container_running paused").status == 0);
    CHECK(host.ask("container_exists we").status == 1);
    CHECK(host.ask("container_exists abc").status == 1);
    CHECK(host.ask("container_running abc").status == 1);
    CHECK(host.ask("if container_exists no; then echo yes; else echo no; fi").output == "no\n");
    CHECK(host.ask("container_exists").output.find("takes one name") != std::string::npos);
    CHECK(host.ask("volumeexists data").status == 0);
    CHECK(host.ask("volumeexists dat").status == 1);
}

TEST_CASE("dockerrun runs the image with the options and keeps stdin, stdout and exit code") {
    const Host host;
    const BashAnswer answer = host.ask("echo hello | dockerrun cat; dockerrun bash -c 'exit 42'");
    CHECK(answer.output == "hello\n");
    CHECK(answer.status == 42);
    CHECK(host.calls().find("[run][--rm][-i][--label][x=y][image][cat]") == 0);
    CHECK(host.ask("dockerrun echo 'two words' ''", "DOCKEROPTS=()").output == "two words \n");
    // A terminal at both ends: `script` makes one.
    const std::string strictly = "source " + host.scratch().file("utils.sh") +
                                 "; DOCKEROPTS=(); IMAGENAME=image; dockerrun true";
    write_file(host.scratch().file("run"), strictly);
    host.ask("script -qec 'bash " + host.scratch().file("run") + "' /dev/null");
    CHECK(host.calls().find("[run][--rm][-i][-t][image][true]") != std::string::npos);
}

TEST_CASE("utils_import empties the target and brings everything, whatever its name") {
    const Host host;
    const std::string from = host.scratch().file("from");
    const std::string to = host.scratch().file("to");
    make_directories(from + "/sub/deep");
    make_directories(to + "/old/tree", 0750);
    for (const std::string name : {".hidden", "-n", "two words", "new\nline", "sub/deep/x"}) {
        write_file(from + "/" + name, name);
    }
    write_file(to + "/.old", "");
    write_file(to + "/-rf", "");
    const BashAnswer answer = host.ask("stat -c %a " + to + "; utils_import " + from + " " + to +
                                       "; stat -c %a " + to + "; diff -r " + from + " " + to);
    CHECK(answer.output == "750\n750\n");
    CHECK(answer.status == 0);

    SUBCASE("an empty directory empties it") {
        const std::string empty = host.scratch().file("empty");
        make_directories(empty);
        CHECK(host.ask("utils_import " + empty + " " + to).status == 0);
        CHECK(directory_entries(to).empty());
    }
    SUBCASE("either end's failure is one") {
        CHECK(host.ask("utils_import " + from + " /nowhere").status == 1);
        CHECK(host.ask("utils_import /nowhere " + to).status == 1);
        const std::string tar = "tar() { command tar \"$@\"; return 2; }\n";
        CHECK(host.ask(tar + "utils_import " + from + " " + to).output.find("could not copy") !=
              std::string::npos);
        // Also in a script that has not asked for pipefail.
        CHECK(host.ask(tar + "set +o pipefail; utils_import " + from + " " + to).status == 1);
    }
}

TEST_CASE("utils_export brings everything and leaves the directory its own mode") {
    const Host host;
    const std::string from = host.scratch().file("from");
    const std::string to = host.scratch().file("to");
    make_directories(from + "/sub", 0755);
    make_directories(to, 0700);
    write_file(from + "/.hidden", "x");
    write_file(from + "/sub/two words", "y", 0640);
    const BashAnswer answer =
        host.ask("chown -R 22022:33 " + from + "; utils_export " + from + " " + to + "; cd " + to +
                 "; stat -c '%a %u' .; stat -c '%a %u:%g' sub/*; diff -r " + from + " .");
    CHECK(answer.output == "700 0\n640 22022:33\n");
    CHECK(answer.status == 0);
    CHECK(host.ask("utils_export /nowhere " + to).status == 1);
    CHECK(host.ask("set +o pipefail; utils_export /nowhere " + to).status == 1);
    CHECK(host.ask("utils_export " + from + " /nowhere").status == 1);
}
