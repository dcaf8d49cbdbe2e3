#include <algorithm>

#include "check/rules.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using Founds = std::vector<Found>;
using Message = std::optional<std::string>;

constexpr const char* runner_file = "servicerunner";

bool is_daemon(const DockerCall& call) {
    return call.verb == "run" && call.has("d", "detach");
}

bool runs_daemon(const Script& runner) {
    return std::any_of(runner.docker.begin(), runner.docker.end(), is_daemon);
}

bool selftest_on(const Subject& subject) {
    return subject.facts.config && subject.facts.config->selftest;
}

Founds health_known(const Subject& subject) {
    if (subject.facts.context || !runs_daemon(*subject.runner()) || subject.facts.has_healthcheck ||
        selftest_on(subject)) {
        return {};
    }
    return {{"nothing can tell whether the running service is well", "", 0}};
}

Founds has_healthcheck(const Subject& subject) {
    if (subject.facts.has_healthcheck) {
        return {};
    }
    return {{"the image has no HEALTHCHECK", "", 0}};
}

Founds selftest_gates(const Subject& subject) {
    if (selftest_on(subject) || !verb_commands(subject.runner()->text, "selftest")) {
        return {};
    }
    return {{"there is a selftest, and SELFTEST is not 'yes'", "servicecfg.sh", 0}};
}

Founds selftest_exists(const Subject& subject) {
    if (!selftest_on(subject) || subject.runner() == nullptr ||
        verb_commands(subject.runner()->text, "selftest")) {
        return {};
    }
    return {{"SELFTEST=yes, and servicerunner has no 'selftest'", "servicecfg.sh", 0}};
}

Founds selftest_tests(const Subject& subject) {
    const auto commands = verb_commands(subject.runner()->text, "selftest");
    if (!commands) {
        return {};
    }
    const bool tests = std::any_of(commands->begin(), commands->end(), [](auto* one) {
        const std::string name = one->name();
        return !name.empty() && name != "true" && name != ":" && name != "echo" &&
               name != "printf" &&
               !(name == "exit" && one->arguments().size() == 1 &&
                 one->arguments()[0]->value == "0");
    });
    if (tests) {
        return {};
    }
    return {{"'selftest' looks at nothing", runner_file, 0}};
}

Founds selftest_can_fail(const Subject& subject) {
    const auto commands = verb_commands(subject.runner()->text, "selftest");
    if (!commands || commands->empty()) {
        return {};
    }
    for (const ShellCommand* one : *commands) {
        const auto& all = subject.runner()->text.commands;
        const std::size_t next = static_cast<std::size_t>(one - all.data()) + 1;
        if (one->link == ShellCommand::Link::or_if && next < all.size() &&
            (all[next].name() == "true" || all[next].name() == ":")) {
            return {
                {"'selftest' forgives a failure: || " + all[next].name(), runner_file, one->line}};
        }
    }
    return {};
}

Founds comes_back(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        if (!is_daemon(call) || call.has("restart") || call.has("rm")) {
            return std::nullopt;
        }
        return "the container does not come back after a reboot";
    });
}

Founds stays_stopped(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        for (const DockerOption* option : call.values("restart")) {
            if (option->value == "always") {
                return "the container comes back after it was stopped by hand";
            }
        }
        return std::nullopt;
    });
}

Founds hears_signals(const Subject& subject) {
    const std::vector<std::string>& program =
        subject.facts.entrypoint.empty() ? subject.facts.command : subject.facts.entrypoint;
    const bool shell = program.size() == 3 && program[1] == "-c" &&
                       (program[0].ends_with("/sh") || program[0].ends_with("/bash"));
    if (!shell || program[2].starts_with("exec ")) {
        return {};
    }
    return {
        {"a shell stands between docker and '" + printable(program[2].substr(0, 80)) + "'", "", 0}};
}

Founds waits_for_stop(const Subject& subject) {
    return subject.in_docker_calls([](const DockerCall& call) -> Message {
        const bool kills = call.verb == "kill" && !call.has("s", "signal");
        const auto stops = call.values("t", "time");
        const bool at_once = call.verb == "stop" &&
                             std::any_of(call.words.begin(), call.words.end(),
                                         [](auto* word) { return word->value == "0"; }) &&
                             !stops.empty();
        if (!kills && !at_once) {
            return std::nullopt;
        }
        return "ends the container without letting it finish: docker " + call.verb;
    });
}

Founds no_endless_wait(const Subject& subject) {
    Founds found;
    for (const Script& script : subject.scripts()) {
        const auto& commands = script.text.commands;
        for (std::size_t i = 0; i + 1 < commands.size(); ++i) {
            const auto call = docker_call(commands[i]);
            if (call &&
                (call->verb == "wait" || (call->verb == "logs" && call->has("f", "follow"))) &&
                commands[i].name() != "timeout" && commands[i].words[0].value != "timeout") {
                found.push_back(
                    {"waits without a limit: docker " + call->verb, script.name, commands[i].line});
            }
        }
    }
    return found;
}

}  // namespace

std::vector<Rule> health_rules() {
    using enum Severity;
    return {
        {"health-known", 5, error, Needs::runner, "a service that runs can tell how it is",
         "updates counted a container that restarted for ever as success; \"target failed to "
         "become healthy\" needs somebody who can say so",
         "add HEALTHCHECK to the Dockerfile, or SELFTEST=yes to servicecfg.sh", health_known},
        {"has-healthcheck", 5, note, Needs::image, "the image has a HEALTHCHECK",
         "without one 'docker ps' shows a service that hangs as running",
         "HEALTHCHECK CMD [\"/bin/sh\", \"-c\", \"...\"]", has_healthcheck},
        {"selftest-gates", 5, warning, Needs::runner, "the selftest decides about updates",
         "an update that broke the service is kept, although the service could have told",
         "write SELFTEST=yes in servicecfg.sh", selftest_gates},
        {"selftest-exists", 5, error, Needs::config, "SELFTEST=yes has a selftest",
         "every install and update fails, and is undone", "add selftest) to servicerunner",
         selftest_exists},
        {"selftest-tests", 5, error, Needs::runner, "the selftest looks at something",
         "the selftest of the old compatibility test was never really run, and every image passed",
         "ask the service: dockerrun, docker exec, curl", selftest_tests},
        {"selftest-can-fail", 5, error, Needs::runner, "the selftest can fail",
         "a test that forgives every failure keeps a broken update", "leave '|| true' out",
         selftest_can_fail},
        {"comes-back", 5, warning, Needs::files, "the service comes back after a reboot",
         "after a power cut every service was down until somebody noticed",
         "add --restart unless-stopped", comes_back},
        {"stays-stopped", 5, warning, Needs::files, "the service stays stopped by hand",
         "--restart always starts at the next boot what the operator stopped for a reason",
         "use --restart unless-stopped", stays_stopped},
        {"hears-signals", 5, warning, Needs::image, "the image's program gets docker's signals",
         "a shell as first process passes no SIGTERM on: every stop takes ten seconds and ends "
         "with SIGKILL, in the middle of a write",
         "use the JSON form, or begin with exec", hears_signals},
        {"waits-for-stop", 5, warning, Needs::files, "containers may finish what they write",
         "a database that was killed for the backup came back from it damaged",
         "docker stop, with its ten seconds or more", waits_for_stop},
        {"no-endless-wait", 5, warning, Needs::files, "scripts wait with a limit",
         "a deploy that waited for ever held the lock, and the next one could not start",
         "timeout 60 docker wait \"$SERVICENAME\"", no_endless_wait},
    };
}

}  // namespace drunner
