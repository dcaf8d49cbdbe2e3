#include "unit/check/draft.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace drunner::test {

Draft::Draft() {
    sources =
        "HERE=$(dirname \"$(readlink -f \"$0\")\")\n"
        "source \"$HERE/variables.sh\"\n"
        "source \"$HERE/utils.sh\"\n";
    arguments = "SUBCOMMAND=${1:-help}\nshift || true\n";
    functions =
        "start_container() {\n"
        "    docker run -d --name \"$SERVICENAME\" --restart unless-stopped -p \"$PORT:80\" \\\n"
        "        \"${DOCKEROPTS[@]}\" \"$IMAGENAME\" sleep infinity >/dev/null\n"
        "    docker run -d --name \"$SERVICENAME-cache\" --restart unless-stopped \\\n"
        "        \"${DOCKEROPTS[@]}\" \"${EXTRACONTAINERS[0]}\" >/dev/null\n"
        "}\n"
        "stop_container() {\n"
        "    docker stop \"$SERVICENAME\" >/dev/null\n"
        "    docker rm \"$SERVICENAME\" >/dev/null\n"
        "}\n"
        "show_help() {\n"
        "    cat >&2 <<HELP\n"
        "$SERVICENAME keeps things.\n"
        "    $SERVICENAME start    starts it\n"
        "HELP\n"
        "}\n";
    arms = {
        {"install", "start_container"},
        {"updatestart", "stop_container"},
        {"updateend", "start_container"},
        {"backupstart",
         "docker exec \"$SERVICENAME\" dump >\"$1/dump\"\n"
         "docker pause \"$SERVICENAME\""},
        {"backupend",
         "if container_paused \"$SERVICENAME\"; then\n"
         "docker unpause \"$SERVICENAME\"\nfi"},
        {"restore", "docker exec -i \"$SERVICENAME\" load <\"$1/dump\""},
        {"uninstall", "stop_container"},
        {"obliterate", "stop_container"},
        {"enter", "dockerrun /bin/bash \"$@\""},
        {"selftest", "docker exec \"$SERVICENAME\" test -e /data/index"},
        {"help", "show_help"},
        {"start", "start_container"},
        {"*", "die \"no command '$SUBCOMMAND'.\""},
    };
    config =
        "VOLUMES=(\"/data\")\n"
        "EXTRACONTAINERS=(\"redis:7@sha256:"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\")\n"
        "SELFTEST=yes\n"
        "SETTINGS=(\"PORT||8080|where it listens|port\")\n";
    dockerfile =
        "FROM debian:bookworm-slim\n"
        "RUN mkdir /data && \\\n"
        "    chown 22022:22022 /data\n"
        "COPY drunner /drunner\n"
        "USER 22022:22022\n";
    facts.reference = "127.0.0.1:5000/team/good:1";
    facts.os = "linux";
    facts.user = "22022:22022";
    facts.resolved_user = ImageUser{22022, 22022};
    facts.has_healthcheck = true;
    facts.command = {"serve"};
    facts.shells = {"/bin/sh", "/bin/bash"};
    facts.directories["/data"] = {22022, 22022, 0750, true, true};
    facts.extra_images["redis:7"] = {"redis"};
    for (const char* key : {"source", "version", "description", "licenses"}) {
        facts.labels[std::string("org.opencontainers.image.") + key] = "x";
    }
    facts.syntax.emplace();
    facts.lint.emplace();
    facts.earlier = EarlierFacts{"good", {}, {22022, 22022}, ""};
    facts.earlier->config.volumes = {"/data"};
}

std::string& Draft::arm(const std::string& pattern) {
    const auto found = std::find_if(arms.begin(), arms.end(),
                                    [&](const auto& one) { return one.first == pattern; });
    if (found != arms.end()) {
        return found->second;
    }
    return arms.emplace(arms.begin(), pattern, "")->second;
}

void Draft::without_arm(const std::string& pattern) {
    std::erase_if(arms, [&](const auto& one) { return one.first == pattern; });
}

std::string Draft::runner() const {
    std::string text = first_line + "\n" + options + "\n" + sources + functions + arguments +
                       "case $SUBCOMMAND in\n";
    for (const auto& [pattern, body] : arms) {
        text += "    " + pattern + ")\n" + body + "\n;;\n";
    }
    return text + "esac\n" + tail;
}

ImageFacts Draft::build() const {
    ImageFacts built = facts;
    built.files = extra_files;
    built.files->try_emplace("servicerunner", ImageFile{runner(), true});
    built.files->try_emplace("servicecfg.sh", ImageFile{config, false});
    built.files->erase(missing);
    try {
        built.config = parse_service_config(config).config;
        if (!built.config) {
            built.config.emplace();
        }
    } catch (const Error& error) {
        built.config_problem = error.what();
    }
    if (is_context) {
        if (!built.context) {
            built.context = ContextFacts{{}, {"Dockerfile", "drunner", "README.md"}};
        }
        if (!dockerfile.empty()) {
            built.context->dockerfile = dockerfile;
        }
    }
    return built;
}

Fixture line(const std::string& rule, const std::string& bad, const std::string& good) {
    return {rule, [bad](Draft& draft) { draft.functions += "extra() {\n" + bad + "\n}\n"; },
            [good](Draft& draft) { draft.functions += "extra() {\n" + good + "\n}\n"; }};
}

Fixture arm(const std::string& rule, const std::string& pattern, const std::string& bad,
            const std::string& good) {
    return {rule, [=](Draft& draft) { draft.arm(pattern) = bad; },
            [=](Draft& draft) { draft.arm(pattern) = good; }};
}

Fixture config(const std::string& rule, const std::string& bad, const std::string& good) {
    return {rule, [=](Draft& draft) { draft.config += bad + "\n"; },
            [=](Draft& draft) { draft.config += good + "\n"; }};
}

Fixture dockerfile(const std::string& rule, const std::string& bad, const std::string& good) {
    const auto with = [](const std::string& text) {
        return [text](Draft& draft) {
            draft.is_context = true;
            draft.dockerfile = text;
        };
    };
    return {rule, with(bad), with(good)};
}

Fixture file(const std::string& rule, const std::string& name, const std::string& bad,
             const std::string& good) {
    return {rule, [=](Draft& draft) { draft.file(name).content = bad; },
            [=](Draft& draft) { draft.file(name).content = good; }};
}

}  // namespace drunner::test
