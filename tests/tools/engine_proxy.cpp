// Stands between a client and a container engine: passes everything on, writes down every request,
// and breaks the requests that it is told to break.
//
//   engine-proxy --listen SOCKET --engine SOCKET --record FILE [--rules FILE]
//
// FILE gets one line "METHOD PATH" per request, before the request is passed on. The rules are read
// anew for each request, so a test may change them at any time; a missing file is no rules. A line
// is WHICH:FAULT, where WHICH is the number of the request (from 1) or
// "METHOD TEXT", a request of that method whose path contains TEXT, and FAULT is
//
//   refuse           the connection is closed, the engine sees nothing
//   hang             nothing is passed on and nothing answered until the client goes away
//   error            the engine sees nothing, the client gets 500 and a message
//   lost             the engine does its work; its answer is thrown away, the connection closed
//   stall            the engine does its work; its answer never arrives
//   cut=N            the first N bytes of the answer arrive, then the connection is closed
//   before=COMMAND   a shell runs COMMAND, then the request goes on, if the client is still there
//   after=COMMAND    the engine does its work; when it answers a shell runs COMMAND, and the answer
//                    is thrown away, the connection closed
//
// A COMMAND has no colon in it. The numbers begin anew where FILE was emptied.
//
// It prints "ready" once it listens, and ends by SIGTERM or SIGINT.

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace {

constexpr std::string_view before_word = "before=";
constexpr std::string_view after_word = "after=";

void run_in_shell(const std::string& command) {
    // The signals that this process blocks are not for what the command starts.
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::string shell = "/bin/sh";
    std::string option = "-c";
    std::string words = command;
    const std::array<char*, 4> arguments{shell.data(), option.data(), words.data(), nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, shell.c_str(), nullptr, &attributes, arguments.data(), environ) == 0) {
        ::waitpid(pid, nullptr, 0);
    }
    ::posix_spawnattr_destroy(&attributes);
}

struct Settings {
    std::string listen;
    std::string engine;
    std::string record;
    std::string rules;
};

[[noreturn]] void fail(const std::string& what) {
    std::perror(("engine-proxy: " + what).c_str());
    std::exit(1);
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        std::cerr << "engine-proxy: '" << path << "' is too long for a socket\n";
        std::exit(1);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

bool write_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (written <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

// Numbers the requests, writes them down, and knows which are to be broken.
class Script {
  public:
    explicit Script(const Settings& settings) : record_(settings.record), rules_(settings.rules) {
        std::ofstream(record_, std::ios::app);
    }

    // The fault for this request; empty for none.
    std::string next(const std::string& method, const std::string& path) {
        const std::lock_guard<std::mutex> guard(mutex_);
        std::error_code ignored;
        number_ = std::filesystem::file_size(record_, ignored) == 0 ? 1 : number_ + 1;
        std::ofstream(record_, std::ios::app) << method << ' ' << path << '\n';
        std::ifstream rules(rules_);
        for (std::string line; std::getline(rules, line);) {
            const std::size_t colon = line.rfind(':');
            if (colon != std::string::npos && matches(line.substr(0, colon), method, path)) {
                return line.substr(colon + 1);
            }
        }
        return {};
    }

  private:
    bool matches(const std::string& which, const std::string& method,
                 const std::string& path) const {
        const std::size_t space = which.find(' ');
        if (space == std::string::npos) {
            return which == std::to_string(number_);
        }
        return which.substr(0, space) == method &&
               path.find(which.substr(space + 1)) != std::string::npos;
    }

    std::mutex mutex_;
    std::string record_;
    std::string rules_;
    long number_ = 0;
};

std::optional<std::string> header(std::string_view head, std::string_view name) {
    std::size_t start = head.find("\r\n");
    while (start != std::string_view::npos && start + 2 < head.size()) {
        const std::size_t end = head.find("\r\n", start + 2);
        const std::string_view line = head.substr(start + 2, end - start - 2);
        const bool same = line.size() > name.size() && line[name.size()] == ':' &&
                          std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
                              return std::tolower(static_cast<unsigned char>(a)) ==
                                     std::tolower(static_cast<unsigned char>(b));
                          });
        if (same) {
            const std::size_t value = line.find_first_not_of(' ', name.size() + 1);
            return value == std::string_view::npos ? std::string{}
                                                   : std::string(line.substr(value));
        }
        start = end;
    }
    return std::nullopt;
}

// One connection of a client, with its own connection to the engine: one thread for each direction.
class Connection {
  public:
    Connection(int client, const Settings& settings, Script& script)
        : client_(client),
          engine_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
          script_(script) {
        const sockaddr_un address = address_of(settings.engine);
        connected_ =
            ::connect(engine_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        ::close(client_);
        ::close(engine_);
    }

    void run() {
        if (!connected_) {
            return;
        }
        std::thread answers([this] { pass_answers(); });
        pass_requests();
        answers.join();
    }

  private:
    void end() {
        ::shutdown(client_, SHUT_RDWR);
        ::shutdown(engine_, SHUT_RDWR);
    }

    // More of what the client sends, at the end of pending_; false at its end.
    bool receive() {
        std::array<char, 65536> buffer{};
        const ssize_t count = ::recv(client_, buffer.data(), buffer.size(), 0);
        if (count <= 0) {
            return false;
        }
        pending_.append(buffer.data(), static_cast<std::size_t>(count));
        return true;
    }

    bool pass_on(std::size_t count) {
        const bool passed = write_all(engine_, std::string_view(pending_).substr(0, count));
        pending_.erase(0, count);
        return passed;
    }

    bool pass_on_exactly(std::size_t count) {
        while (count > 0) {
            if (pending_.empty() && !receive()) {
                return false;
            }
            const std::size_t part = std::min(count, pending_.size());
            if (!pass_on(part)) {
                return false;
            }
            count -= part;
        }
        return true;
    }

    // A line with its end, left in pending_; its length, 0 at the end of the stream.
    std::size_t line_length() {
        for (;;) {
            const std::size_t end = pending_.find("\r\n");
            if (end != std::string::npos) {
                return end + 2;
            }
            if (!receive()) {
                return 0;
            }
        }
    }

    bool pass_on_chunks() {
        for (;;) {
            const std::size_t length = line_length();
            if (length == 0) {
                return false;
            }
            const std::size_t size = std::stoul(pending_, nullptr, 16);
            if (!pass_on(length)) {
                return false;
            }
            if (size == 0) {
                break;
            }
            if (!pass_on_exactly(size + 2)) {
                return false;
            }
        }
        for (std::size_t length = line_length(); length > 2; length = line_length()) {
            if (!pass_on(length)) {
                return false;
            }
        }
        return pass_on_exactly(2);
    }

    // False where the connection ends with this request.
    bool pass_request() {
        std::size_t end = pending_.find("\r\n\r\n");
        while (end == std::string::npos) {
            if (!receive()) {
                return false;
            }
            end = pending_.find("\r\n\r\n");
        }
        const std::string head = pending_.substr(0, end + 4);
        const std::size_t space = head.find(' ');
        const std::string method = head.substr(0, space);
        const std::string path = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
        const std::string fault = script_.next(method, path);
        if (fault == "refuse") {
            return false;
        }
        if (fault == "hang") {
            while (receive()) {
                pending_.clear();
            }
            return false;
        }
        if (fault == "error") {
            const std::string body = "{\"message\":\"broken on purpose\"}\n";
            write_all(client_,
                      "HTTP/1.1 500 Internal Server Error\r\n"
                      "Content-Type: application/json\r\nConnection: close\r\n"
                      "Content-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body);
            // What the client still sends is read, so that it gets the answer and not a reset.
            ::shutdown(client_, SHUT_WR);
            while (receive()) {
                pending_.clear();
            }
            return false;
        }
        if (fault.starts_with(before_word)) {
            run_in_shell(fault.substr(before_word.size()));
            char byte = 0;
            if (::recv(client_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
                return false;
            }
        } else if (fault.starts_with(after_word)) {
            after_ = fault.substr(after_word.size());
            remaining_ = 0;
        } else if (fault == "lost") {
            remaining_ = 0;
        } else if (fault == "stall") {
            stalled_ = true;
        } else if (fault.rfind("cut=", 0) == 0) {
            remaining_ = std::stol(fault.substr(4));
        }

        if (!pass_on(end + 4)) {
            return false;
        }
        if (header(head, "Upgrade")) {
            // From here on the two talk without requests, until one hangs up.
            do {
                if (!pass_on(pending_.size())) {
                    return false;
                }
            } while (receive());
            hijacked_ = true;
            return false;
        }
        if (header(head, "Transfer-Encoding")) {
            return pass_on_chunks();
        }
        const std::optional<std::string> length = header(head, "Content-Length");
        return !length || pass_on_exactly(std::stoul(*length));
    }

    void pass_requests() {
        while (pass_request()) {
        }
        if (hijacked_) {
            ::shutdown(engine_, SHUT_WR);
        } else {
            end();
        }
    }

    void pass_answers() {
        std::array<char, 65536> buffer{};
        for (;;) {
            const ssize_t count = ::recv(engine_, buffer.data(), buffer.size(), 0);
            if (count <= 0) {
                break;
            }
            if (stalled_) {
                continue;
            }
            std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
            const long remaining = remaining_;
            if (!after_.empty() && remaining == 0) {
                run_in_shell(after_);
            }
            if (remaining >= 0 && count >= remaining) {
                write_all(client_, bytes.substr(0, static_cast<std::size_t>(remaining)));
                break;
            }
            if (remaining > 0) {
                remaining_ = remaining - count;
            }
            if (!write_all(client_, bytes)) {
                break;
            }
        }
        end();
    }

    int client_;
    int engine_;
    Script& script_;
    bool connected_ = false;
    bool hijacked_ = false;
    std::string pending_;              // received from the client, not yet passed on
    std::string after_;                // set before remaining_, read behind it
    std::atomic<long> remaining_{-1};  // bytes of the answer that still pass; -1 is all
    std::atomic<bool> stalled_{false};
};

Settings read_arguments(int count, char** arguments) {
    Settings settings;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string option = arguments[i];
        std::string* target = option == "--listen"   ? &settings.listen
                              : option == "--engine" ? &settings.engine
                              : option == "--record" ? &settings.record
                              : option == "--rules"  ? &settings.rules
                                                     : nullptr;
        if (target == nullptr) {
            std::cerr << "engine-proxy: unknown option '" << option << "'\n";
            std::exit(1);
        }
        *target = arguments[i + 1];
    }
    if (settings.listen.empty() || settings.engine.empty() || settings.record.empty()) {
        std::cerr << "engine-proxy: --listen, --engine and --record are needed\n";
        std::exit(1);
    }
    return settings;
}

}  // namespace

int main(int count, char** arguments) {
    const Settings settings = read_arguments(count, arguments);
    // The signals that end it are waited for by a thread, so that the socket's name goes with it.
    sigset_t endings;
    ::sigemptyset(&endings);
    ::sigaddset(&endings, SIGTERM);
    ::sigaddset(&endings, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &endings, nullptr);
    std::thread([endings, path = settings.listen] {
        int received = 0;
        ::sigwait(&endings, &received);
        ::unlink(path.c_str());
        ::_exit(0);
    }).detach();

    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(settings.listen);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener, 64) != 0) {
        fail("cannot listen on '" + settings.listen + "'");
    }
    Script script(settings);
    std::cout << "ready" << std::endl;
    for (;;) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) {
            fail("cannot accept");
        }
        std::thread([client, &settings, &script] {
            Connection(client, settings, script).run();
        }).detach();
    }
}
