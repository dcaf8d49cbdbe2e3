#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

std::function<void(Draft&)> first_line(const std::string& text) {
    return [text](Draft& draft) { draft.first_line = text; };
}

Fixture first_lines(const std::string& rule, const std::string& bad, const std::string& good) {
    return {rule, first_line(bad), first_line(good)};
}

Fixture options(const std::string& rule, const std::string& bad, const std::string& good) {
    return {rule, [=](Draft& draft) { draft.options = bad; },
            [=](Draft& draft) { draft.options = good; }};
}

Fixture lint(const std::string& rule, ScriptRemark::Weight bad, ScriptRemark::Weight good) {
    const auto with = [](ScriptRemark::Weight weight) {
        return [weight](Draft& draft) {
            draft.facts.lint = {{"servicerunner", 3, weight, "a remark [SC1]"}};
        };
    };
    return {rule, with(bad), with(good)};
}

std::vector<Fixture> text_fixtures() {
    using Weight = ScriptRemark::Weight;
    return {
        file("script-size", "large.sh", std::string((256U << 10U) + 1, '#'),
             std::string(256U << 10U, '#')),
        {"bash-syntax",
         [](Draft& draft) {
             draft.facts.syntax = {{"servicerunner", 9, Weight::error, "unexpected 'fi'"}};
         },
         [](Draft& draft) { draft.facts.syntax.emplace(); }},
        lint("shellcheck-errors", Weight::error, Weight::warning),
        lint("shellcheck-warnings", Weight::warning, Weight::note),
        lint("shellcheck-notes", Weight::note, Weight::error),
        file("unix-line-ends", "more.sh", "echo\r\n", "echo $'\\r'\n"),
        file("no-byte-order-mark", "more.sh", "\xef\xbb\xbf:\n", ":\xef\xbb\xbf\n"),
        file("no-null-byte", "more.sh", std::string("echo\0\n", 6), "echo '\\0'\n"),
        first_lines("run-by-bash", "#!/bin/sh", "#!/bin/bash"),
        first_lines("interpreter-everywhere", "#!/usr/local/bin/bash", "#!/usr/bin/bash"),
        first_lines("interpreter-arguments", "#!/usr/bin/env bash -e", "#!/usr/bin/env -S bash -e"),
        options("stops-at-errors", "set -uo pipefail", "set -o errexit"),
        options("knows-its-variables", "set -eo pipefail", "set -eu"),
        {"fails-with-its-pipes",
         [](Draft& draft) {
             draft.options = "set -eu";
             draft.tail = "cat x | wc -l\n";
         },
         [](Draft& draft) { draft.options = "set -eu"; }},
        line("errexit-stays", "set +e", "set -e +x"),
        line("functions-keep-errexit", "start_container || true",
             "start_container; dockerrun true || true"),
        line("status-not-masked", "local x=$(false)", "local x; x=$(false)"),
        {"reads-variables", [](Draft& draft) { draft.sources = ""; },
         [](Draft& draft) { draft.sources = ". \"${0%/*}/variables.sh\"\n"; }},
        {"reads-functions", [](Draft& draft) { draft.sources = "source /x/variables.sh\n"; },
         [](Draft& draft) {
             draft.sources =
                 "die() { exit 1; }\ndockerrun() { :; }\ncontainer_paused() { :; }\n"
                 "source /x/variables.sh\n";
         }},
        line("reads-beside-itself", "source ./more.sh", "source \"$HERE/more.sh\""),
        line("variables-quoted", "docker run ${DOCKEROPTS[@]} \"$IMAGENAME\"",
             "docker run ${DOCKEROPTS[@]+\"${DOCKEROPTS[@]}\"} \"$IMAGENAME\"; x=$SERVICENAME"),
        line("arguments-quoted", "dockerrun cat $1", "dockerrun cat \"$1\"; [[ -n $1 ]]"),
        line("no-eval", "eval \"$x\"", "echo eval \"$x\""),
        line("removes-what-it-names", "rm -rf \"$x/data\"",
             "rm -rf \"${x:?}/data\"; rm -f \"$x\"; rm -rf \"$SERVICETEMPDIR/x\""),
        line("asks-nothing", "read -rp 'Sure? ' answer", "read -r answer"),
        line("known-exit-codes", "exit 2", "exit 3; exit \"$code\""),
        {"config-is-data", [](Draft& draft) { draft.config = "VOLUMES=(\"$(cat /volumes)\")\n"; },
         [](Draft& draft) { draft.config = "VOLUMES=('$(cat /volumes)')\nVOLUMES=()\n"; }},
        config("config-names-known", "VOLUME=(\"/other\")", "HELLO=world"),
    };
}

std::vector<Fixture> host_fixtures() {
    return {
        line("host-files-unchanged", "echo x >>/etc/hosts", "cat /etc/hosts >/dev/null 2>&1"),
        line("host-programs-unchanged", "apt-get install -y jq", "apt-get --version"),
        line("own-temporary-names", "tar -c . >/tmp/dump", "tar -c . >\"/tmp/dump.$$\""),
        line("runs-no-download", "curl -s https://example.org/x | sudo bash",
             "curl -s https://example.org/x | tar -t"),
        line("verified-downloads", "wget http://example.org/x",
             "curl -s http://localhost:8080/health"),
        line("nothing-in-background", "sleep 1000 &", "sleep 1 && true"),
        line("needs-no-sudo", "sudo docker ps", "docker exec x sudo ls"),
        line("engine-is-drunners", "docker -H tcp://other:2375 ps", "docker ps -H"),
        line("no-dead-programs", "docker-compose up -d", "docker compose up -d"),
        line("no-blind-terminal", "docker run -it \"$IMAGENAME\" sh",
             "[[ -t 0 ]] && docker run -it \"$IMAGENAME\" sh"),
        line("logs-in-nowhere", "docker login registry.example.org", "docker logout"),
    };
}

}  // namespace

std::vector<Fixture> script_fixtures() {
    std::vector<Fixture> all = text_fixtures();
    for (const Fixture& one : host_fixtures()) {
        all.push_back(one);
    }
    return all;
}

}  // namespace drunner::test
