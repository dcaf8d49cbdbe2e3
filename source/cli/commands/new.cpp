#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "service/skeleton.hpp"

namespace drunner {
namespace {

constexpr std::array options{
    OptionRow{"base", 0, "IMAGE", "what the image is built on, debian:bookworm-slim"},
    OptionRow{"volume", 0, "PATH", "the directory in the container that is kept, /data"},
    OptionRow{"port", 0, "N", "the port that the service listens on"},
    OptionRow{"version2", 0, nullptr, "the hook names of VERSION=2"},
};

int port_of(const std::string& text) {
    int port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
        throw Error(ErrorKind::usage, "'" + printable(text) + "' is no port", "drunner help new");
    }
    return port;
}

// The word that a shell reads as this path, where it needs no quotes.
std::string typed(const std::string& path) {
    const bool plain = path.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                           "/._-") == std::string::npos;
    return plain ? path : "DIR";
}

void write_files(const std::string& directory, const std::map<std::string, SkeletonFile>& files) {
    make_directories(directory + "/drunner", 0755);
    try {
        for (const auto& [name, file] : files) {
            create_file(directory + "/" + name, file.content, file.executable ? 0755 : 0644);
        }
    } catch (...) {
        remove_tree(directory);
        throw;
    }
}

Answer run(const Invocation& invocation) {
    const Arguments& arguments = invocation.arguments;
    SkeletonRequest request{ServiceName(arguments.words[0])};
    if (arguments.has("base")) {
        request.base = ImageReference(arguments.value("base"));
    }
    if (arguments.has("volume")) {
        request.volume = arguments.value("volume");
    }
    if (arguments.has("port")) {
        request.port = port_of(arguments.value("port"));
    }
    request.version = arguments.has("version2") ? 2 : 1;
    const std::string directory =
        arguments.words.size() > 1 ? arguments.words[1] : request.name.text();
    const auto files = make_skeleton(request);
    if (exists(directory)) {
        throw Error(ErrorKind::file_exists, "'" + printable(directory) + "' is there already",
                    "drunner new " + request.name.text() + " ANOTHER_DIR");
    }
    nlohmann::json names = nlohmann::json::array();
    for (const auto& [name, file] : files) {
        tell_file(invocation.changes, directory + "/" + name, file.content);
        names.push_back(name);
    }
    if (!invocation.is_check()) {
        write_files(directory, files);
    }
    const std::string next = "docker build -t " + request.name.text() + " " + typed(directory);
    return {ExitCode::done,
            "wrote a service image to '" + printable(directory) + "'\nnext: " + next +
                "\n      drunner test " + request.name.text() + "\n",
            nlohmann::json{{"command", "new"},
                           {"changed", true},
                           {"directory", directory},
                           {"files", names},
                           {"next", next}}
                .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command new_command{"new",
                                    "NAME [DIR]",
                                    "write the sources of a new service image",
                                    "0 written, 1 not, for example because DIR exists",
                                    options,
                                    1,
                                    2,
                                    false,
                                    run,
                                    CheckMode::foretold};

}  // namespace drunner
