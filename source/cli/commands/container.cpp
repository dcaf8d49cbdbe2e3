#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/container_host.hpp"
#include "cli/stderr_progress.hpp"
#include "container/tenant_containers.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/terminal.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"follow", 'f', nullptr, "logs: go on until the container ends"},
    OptionRow{"lines", 'n', "NUMBER", "logs: the last so many, else all"},
    OptionRow{"interactive", 'i', nullptr, "exec: hand stdin to the program"},
};

// A specification is a few lines.
constexpr std::size_t longest_specification = 1U << 20U;

ByteSink writer_to(int fd) {
    return [fd](Bytes bytes) { write_output(fd, as_text(bytes)); };
}

std::string read_specification(const std::string& file) {
    const std::string path = file.empty() || file == "-" ? "/dev/stdin" : file;
    if (path == "/dev/stdin" && isatty(STDIN_FILENO) == 1) {
        throw Error(ErrorKind::usage, "a container's specification is expected on stdin",
                    "drunner container run TENANT < spec.json");
    }
    if (path != "/dev/stdin") {
        return read_file(path);
    }
    std::string text;
    std::array<char, 65536> buffer{};
    while (text.size() <= longest_specification) {
        const ssize_t length = read(STDIN_FILENO, buffer.data(), buffer.size());
        if (length < 0 && errno != EINTR) {
            throw system_error("cannot read the specification", errno);
        }
        if (length == 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    }
    throw Error(ErrorKind::usage, "the specification is larger than 1 MiB");
}

// The words of one call: VERB TENANT [CONTAINER or FILE] [COMMAND...].
struct Words {
    std::string verb;
    std::string tenant;
    std::string object;
};

Answer run_container(const Invocation& invocation, const Words& words) {
    const Tenant tenant(words.tenant);
    const ContainerRequest request = parse_container_request(read_specification(words.object));
    TenantContainers containers(container_host(invocation.machine()), tenant);
    const std::string id = containers.run(request);
    return {ExitCode::done, id + "\n", json{{"command", "container run"}, {"Id", id}}.dump()};
}

Answer inspect_container(const Invocation& invocation, const Words& words) {
    TenantContainers containers(container_host(invocation.machine()), Tenant(words.tenant));
    const std::string document = containers.inspect(words.object);
    return {ExitCode::done, document + "\n", document};
}

Answer delete_container(const Invocation& invocation, const Words& words) {
    TenantContainers containers(container_host(invocation.machine()), Tenant(words.tenant));
    containers.remove(words.object);
    return {ExitCode::done, "",
            json{{"command", "container delete"}, {"container", words.object}}.dump()};
}

Answer list_containers(const Invocation& invocation, const Words& words) {
    const std::string tenant = words.tenant.empty() ? "" : Tenant(words.tenant).text();
    const auto containers = list_tenant_containers(invocation.machine().engine, tenant);
    std::string text;
    std::array<std::size_t, 3> widths{6, 4, 7};
    for (const TenantContainer& one : containers) {
        widths = {std::max(widths[0], one.tenant.size()), std::max(widths[1], one.name.size()),
                  std::max(widths[2], one.state.size())};
    }
    const auto row = [&](const std::string& tenant_word, const std::string& name,
                         const std::string& id, const std::string& state,
                         const std::string& image) {
        text += fmt::format("{:<{}}  {:<{}}  {:<12}  {:<{}}  {}\n", tenant_word, widths[0], name,
                            widths[1], id, state, widths[2], image);
    };
    if (!containers.empty()) {
        row("TENANT", "NAME", "ID", "STATE", "IMAGE");
    }
    for (const TenantContainer& one : containers) {
        row(printable(one.tenant), printable(one.name), one.id.substr(0, 12), one.state,
            printable(one.image));
    }
    return {ExitCode::done, text, container_list_document(containers)};
}

Answer exec_in_container(const Invocation& invocation, const Words& words) {
    const Arguments& arguments = invocation.arguments;
    TenantContainers containers(container_host(invocation.machine()), Tenant(words.tenant));
    ExecRequest request;
    request.command = arguments.tail;
    const bool has_terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    // Without the option what is on stdin stays there: in a `while read` it is the list.
    if (has_terminal || arguments.has("interactive")) {
        request.input = STDIN_FILENO;
    }
    std::optional<RawTerminal> raw;
    if (has_terminal) {
        request.terminal = true;
        request.size = terminal_size;
        raw.emplace();
    }
    const int code =
        containers.exec(words.object, request, writer_to(STDOUT_FILENO), writer_to(STDERR_FILENO));
    raw.reset();
    if (code == static_cast<int>(ExitCode::done) || code == static_cast<int>(ExitCode::no_change)) {
        return {static_cast<ExitCode>(code), {}, {}};
    }
    throw Error(ErrorKind::script_failed, "'" + printable(request.command.front()) + "' in '" +
                                              printable(words.object) + "' failed with status " +
                                              std::to_string(code));
}

Answer log_of_container(const Invocation& invocation, const Words& words) {
    constexpr int most_lines = 1'000'000;
    const Arguments& arguments = invocation.arguments;
    const int lines = number_option(arguments, "lines", 0, most_lines, 0);
    TenantContainers containers(container_host(invocation.machine()), Tenant(words.tenant));
    containers.read_logs(words.object, static_cast<unsigned>(lines), arguments.has("follow"),
                         writer_to(STDOUT_FILENO), writer_to(STDERR_FILENO));
    return {};
}

struct VerbRow {
    const char* verb;
    const char* synopsis;
    std::size_t least_words;  // behind the verb
    std::size_t most_words;
    Answer (*run)(const Invocation& invocation, const Words& words);
};

constexpr std::array verbs{
    VerbRow{"run", "TENANT [FILE]", 1, 2, run_container},
    VerbRow{"inspect", "TENANT CONTAINER", 2, 2, inspect_container},
    VerbRow{"delete", "TENANT CONTAINER", 2, 2, delete_container},
    VerbRow{"list", "[TENANT]", 0, 1, list_containers},
    VerbRow{"exec", "TENANT CONTAINER COMMAND [ARGUMENTS]", 2, 2, exec_in_container},
    VerbRow{"logs", "TENANT CONTAINER", 2, 2, log_of_container},
};

Answer run(const Invocation& invocation) {
    const std::vector<std::string>& given = invocation.arguments.words;
    std::vector<std::string> names;
    for (const VerbRow& row : verbs) {
        names.emplace_back(row.verb);
        if (given[0] != row.verb) {
            continue;
        }
        const std::size_t count = given.size() - 1;
        const bool lacks_command =
            given[0] == "exec" && count == 2 && invocation.arguments.tail.empty();
        if (count < row.least_words || count > row.most_words || lacks_command) {
            throw Error(ErrorKind::usage,
                        fmt::format("'drunner container {}' takes {}", row.verb, row.synopsis),
                        "drunner help container");
        }
        return row.run(invocation,
                       {given[0], count > 0 ? given[1] : "", count > 1 ? given[2] : ""});
    }
    const std::string meant = nearest(given[0], names);
    throw Error(
        ErrorKind::usage,
        "'drunner container' has no '" + printable(given[0]) + "'; there are " + join(names, ", "),
        meant.empty() ? "drunner help container" : "drunner container " + meant);
}

}  // namespace

constinit const Command container_command{
    "container",
    "run TENANT [FILE] | inspect|delete|logs TENANT CONTAINER | list [TENANT] | "
    "exec TENANT CONTAINER COMMAND",
    "containers of tenants, described in JSON, each tenant apart from the others",
    "0 done or answered, 1 failed and nothing is left; exec: the program's own 0 and 3, 1 for "
    "everything else",
    options,
    1,
    3,
    false,
    run,
    CheckMode::refused,
    "exec",
    3};

}  // namespace drunner
