#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/secrets.hpp"

namespace drunner {
namespace {

// One byte more than a secret may have is enough to refuse it.
Secret read_secret(const std::string& set_command) {
    if (isatty(STDIN_FILENO) == 1) {
        throw Error(ErrorKind::usage, "a secret is not read from a terminal",
                    set_command + " <FILE");
    }
    // Of its full size from the beginning: a string that grows leaves copies behind.
    std::string text(largest_secret + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t count = read(STDIN_FILENO, text.data() + size, text.size() - size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            throw system_error("cannot read the secret from standard input", errno);
        }
        if (count == 0) {
            break;
        }
        size += static_cast<std::size_t>(count);
    }
    text.resize(size);
    return Secret(std::move(text));
}

std::string document(const ServiceName& name, nlohmann::json fields) {
    fields["command"] = "secret";
    fields["service"] = name.text();
    return fields.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Answer list(const ServiceName& name, Machine& machine) {
    const std::vector<SecretState> secrets = secrets_of(machine, name);
    std::size_t width = 0;
    for (const SecretState& secret : secrets) {
        width = std::max(width, secret.name.size());
    }
    std::string text;
    nlohmann::json entries = nlohmann::json::array();
    for (const SecretState& secret : secrets) {
        const char* state = secret.set ? "set" : secret.required ? "missing" : "-";
        text += fmt::format("{:<{}}  {:<7}  {:>9}  {:<20}  {}\n", secret.name, width, state,
                            secret.set ? human_size(secret.size) : "", secret.changed_at,
                            printable(secret.text));
        entries.push_back({{"name", secret.name},
                           {"set", secret.set},
                           {"required", secret.required},
                           {"size", secret.size},
                           {"changed_at", secret.changed_at},
                           {"text", secret.text}});
    }
    return {ExitCode::done, text.empty() ? "'" + name.text() + "' has no secrets\n" : text,
            document(name, {{"secrets", entries}})};
}

Answer run(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    const ServiceName name(words[0]);
    const std::string& verb = words[1];
    const std::string command = "drunner secret " + name.text();
    if (verb == "ls" && words.size() == 2) {
        return list(name, invocation.machine_of(name));
    }
    if ((verb != "set" && verb != "rm") || words.size() != 3) {
        throw Error(ErrorKind::usage, "'set NAME', 'ls' or 'rm NAME' is meant",
                    "drunner help secret");
    }
    const std::string& secret = words[2];
    check_secret_name(secret);
    const bool is_set = verb == "set";
    const Secret content = is_set ? read_secret(command + " set " + secret) : Secret();
    Machine& machine = invocation.machine_of(name);
    const SecretResult result =
        is_set ? set_secret(machine, name, secret, content) : remove_secret(machine, name, secret);
    const bool changed = result.outcome == Outcome::changed;
    if (changed && is_set) {
        machine.progress.note("containers see it when they are started again");
    }
    if (!result.missing.empty()) {
        machine.progress.warning("still missing: " + join(result.missing, ", "));
    }
    const std::string text = !changed ? is_set ? "it is set like that already\n"
                                               : "there is no secret '" + secret + "'\n"
                             : is_set ? "set '" + secret + "'\n"
                                      : "removed '" + secret + "'\n";
    return {exit_code(result.outcome), text,
            document(name, {{"name", secret}, {"changed", changed}, {"missing", result.missing}})};
}

}  // namespace

constinit const Command secret_command{
    "secret",
    "SERVICE set NAME <FILE | ls | rm NAME",
    "what only files of root's hold: keys, passwords, certificates",
    "0 changed or listed, 3 it is like that already, 1 failed, everything is as before",
    {},
    2,
    3,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
