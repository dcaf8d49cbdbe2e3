#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

const std::string digest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Fixture extra(const std::string& rule, const std::string& bad, const std::string& good) {
    return config(rule, "EXTRACONTAINERS=(" + bad + ")", "EXTRACONTAINERS=(" + good + ")");
}

Fixture labelled(const std::string& key) {
    const std::string label = "org.opencontainers.image." + key;
    return {"label-" + key, [label](Draft& draft) { draft.facts.labels[label] = " "; },
            [label](Draft& draft) { draft.facts.labels[label] = "y"; }};
}

std::vector<Fixture> documentation_fixtures() {
    return {
        arm("help-prints", "help", "exit 0", "echo help >&2"),
        {"help-names-commands", [](Draft& draft) { draft.arm("reindex") = "true"; },
         [](Draft& draft) {
             draft.arm("reindex") = "true";
             draft.arm("help") = "echo \"$SERVICENAME start, reindex\"";
         }},
        arm("help-names-service", "help", "echo 'web start'", "echo \"$SERVICENAME start\""),
        {"errors-on-stderr", [](Draft& draft) { draft.functions += "die() { echo \"$1\"; }\n"; },
         [](Draft& draft) { draft.functions += "die() { echo \"$1\" >&2; }\n"; }},
        labelled("source"),
        labelled("version"),
        labelled("description"),
        labelled("licenses"),
        config("settings-told", "SETTINGS=(\"PORT||1|\")", "SETTINGS=(\"PORT||1|a port\")"),
        config("required-without-default", "SETTINGS=(\"PORT|required|1|a port\")",
               "SETTINGS=(\"PORT|required||a port\")"),
        config("settings-used", "SETTINGS=(\"HARBOUR||1|a port\")",
               "SETTINGS=(\"PORT||1|a port\")"),
        {"readme",
         [](Draft& draft) {
             draft.is_context = true;
             draft.facts.context = ContextFacts{{}, {"Dockerfile", "drunner"}};
         },
         [](Draft& draft) { draft.is_context = true; }},
    };
}

std::vector<Fixture> image_supply_fixtures() {
    return {
        extra("extra-containers-fixed", "\"host:5000/redis\"", "\"redis@" + digest + "\""),
        extra("extra-containers-by-digest", "\"redis:7\"", "\"redis:7@" + digest + "\""),
        extra("extra-containers-once", "\"redis:7\" \"docker.io/library/redis:7\"",
              "\"redis:7\" \"redis:6\""),
        extra("extra-containers-not-itself", "\"127.0.0.1:5000/team/good:1\"",
              "\"127.0.0.1:5000/team/good:2\""),
        {"extra-containers-started",
         [](Draft& draft) {
             draft.file("servicerunner").content = "#!/bin/bash\n";
             draft.config += "EXTRACONTAINERS=(\"redis:7\")\n";
         },
         [](Draft& draft) {
             draft.file("servicerunner").content = "#!/bin/bash\ndocker run redis:7\n";
             draft.config += "EXTRACONTAINERS=(\"redis:7\")\n";
         }},
        {"reference-fixed", [](Draft& draft) { draft.facts.reference = "localhost:5000/good"; },
         [](Draft& draft) { draft.facts.reference = "good:1"; }},
        file("small-directory", "data", std::string((1U << 20U) + 1, 'x'), "x"),
        file("no-programs", "tool",
             "\x7f"
             "ELF\x02",
             "ELF"),
        file("no-packed-files", "tool", "\x1f\x8b\x08", "gzip"),
        {"no-clutter", [](Draft& draft) { draft.file(".git/HEAD"); },
         [](Draft& draft) { draft.file("git/HEAD"); }},
        line("brings-everything", "git clone https://example.org/x",
             "git status; curl -s http://127.0.0.1/health"),
    };
}

std::vector<Fixture> context_fixtures() {
    const std::string end = "\nCOPY drunner /drunner\nUSER 22022:22022\n";
    const std::string base = "FROM debian:12\n";
    const auto everything = [](const std::set<std::string>& names) {
        return [names](Draft& draft) {
            draft.is_context = true;
            draft.facts.context = ContextFacts{{}, names};
            draft.dockerfile = "FROM debian:12\nCOPY . /drunner\nUSER 5:5\n";
        };
    };
    return {
        dockerfile("dockerfile-present", "", base + end),
        dockerfile("dockerfile-user", base + "USER 5:5" + end + "USER root\n", base + end),
        dockerfile("dockerfile-copies", base + "# COPY drunner /drunner\nUSER 5:5\n", base + end),
        dockerfile("base-fixed", "FROM host:5000/debian AS base" + end,
                   "FROM --platform=linux/amd64 host:5000/debian:12" + end),
        dockerfile("no-remote-add", base + "ADD https://example.org/x /x" + end,
                   base + "ADD --checksum=sha256:0 https://example.org/x /x" + end),
        dockerfile("build-runs-no-download",
                   base + "RUN true && \\\n  curl -s https://example.org/x | sh" + end,
                   base + "RUN echo 'curl x | sh'" + end),
        dockerfile("no-upgrade", base + "RUN apt-get update && apt-get upgrade -y" + end,
                   base + "RUN apt-get update && apt-get install -y jq" + end),
        dockerfile("no-build-secret", base + "ARG NPM_TOKEN" + end, base + "ENV TOKENS=3" + end),
        {"copies-no-secrets", everything({"Dockerfile", "drunner", ".git"}),
         everything({"Dockerfile", "drunner", ".git", ".dockerignore"})},
    };
}

}  // namespace

std::vector<Fixture> supply_fixtures() {
    std::vector<Fixture> all;
    for (const auto& part :
         {documentation_fixtures(), image_supply_fixtures(), context_fixtures()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace drunner::test
