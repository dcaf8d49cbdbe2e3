#include <unistd.h>

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/command_words.hpp"
#include "cli/commands.hpp"
#include "cli/stderr_progress.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "operation/operations.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::array options{
    OptionRow{"follow", 'f', nullptr, "go on until all containers have ended"},
    OptionRow{"lines", 'n', "NUMBER", "the last so many of each container, else all"},
};

constexpr int most_lines = 1'000'000;

// Writes whole lines only, each with its container's name before it, so that what several say side
// by side can be told apart. A stream's last line may lack its end.
class NamedLines {
  public:
    explicit NamedLines(bool side_by_side) : side_by_side_(side_by_side) {}

    void write(const std::string& container, bool is_error, Bytes bytes) {
        if (!side_by_side_ && container != current_) {
            finish();
            current_ = container;
        }
        std::string& pending = pending_[{container, is_error}];
        pending += as_text(bytes);
        const std::size_t whole = pending.rfind('\n') + 1;
        put(container, is_error, std::string_view(pending).substr(0, whole));
        pending.erase(0, whole);
    }

    void finish() {
        for (auto& [stream, pending] : pending_) {
            if (!pending.empty()) {
                put(stream.first, stream.second, std::exchange(pending, {}) + "\n");
            }
        }
    }

  private:
    static void put(const std::string& container, bool is_error, std::string_view lines) {
        std::string text;
        while (!lines.empty()) {
            const std::size_t end = lines.find('\n') + 1;
            text += container + " | " + std::string(lines.substr(0, end));
            lines.remove_prefix(end);
        }
        write_output(is_error ? STDERR_FILENO : STDOUT_FILENO, text);
    }

    bool side_by_side_;
    std::string current_;  // of those that come one after the other
    std::map<std::pair<std::string, bool>, std::string> pending_;
};

Answer as_document(Machine& machine, const ServiceName& name, const LogsRequest& request) {
    if (request.follow) {
        throw Error(ErrorKind::usage, "--json gives one document, so it does not go with --follow",
                    "drunner logs " + name.text() + " --json");
    }
    std::map<std::string, std::array<std::string, 2>> texts;
    read_logs(machine, name, request,
              [&](const std::string& container, bool is_error, Bytes bytes) {
                  texts[container].at(is_error ? 1 : 0) += as_text(bytes);
              });
    json rows = json::array();
    for (const auto& [container, text] : texts) {
        rows.push_back({{"container", container}, {"stdout", text[0]}, {"stderr", text[1]}});
    }
    const json document{{"command", "logs"}, {"service", name.text()}, {"containers", rows}};
    // What a program prints need not be UTF-8.
    return {ExitCode::done, "", document.dump(-1, ' ', true, json::error_handler_t::replace)};
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    const ServiceName name(arguments.words[0]);
    LogsRequest request;
    request.follow = arguments.has("follow");
    request.last_lines = static_cast<unsigned>(number_option(arguments, "lines", 0, most_lines, 0));
    Machine& machine = invocation.machine_of(name);
    if (arguments.has("json")) {
        return as_document(machine, name, request);
    }
    NamedLines lines(request.follow);
    const std::size_t containers = read_logs(
        machine, name, request, [&](const std::string& container, bool is_error, Bytes bytes) {
            lines.write(container, is_error, bytes);
        });
    lines.finish();
    if (containers == 0) {
        machine.progress.note("'" + name.text() + "' has no container");
    }
    return {};
}

}  // namespace

constinit const Command logs_command{"logs",
                                     "SERVICE",
                                     "what the service's containers print, each line with its name",
                                     "0 printed, 1 failed",
                                     options,
                                     1,
                                     1,
                                     false,
                                     run,
                                     CheckMode::reads_only};

}  // namespace drunner
