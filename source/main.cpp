#include <limits.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/audit.hpp"
#include "cli/command_words.hpp"
#include "cli/event_progress.hpp"
#include "cli/log.hpp"
#include "cli/run.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/endpoint.hpp"
#include "engine/rest_engine.hpp"
#include "engine/rest_registry.hpp"
#include "host/file.hpp"
#include "host/signals.hpp"
#include "service/launcher.hpp"
#include "service/manifest.hpp"
#include "service/script_runner.hpp"

namespace drunner {
namespace {

constexpr int longest_wait_seconds = 86'400;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

// The path that the kernel was asked to execute: of a launcher that is the link, not the binary.
std::string invoked_path() {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): how getauxval hands a pointer out
    const auto* path = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
    return path == nullptr ? std::string() : std::filesystem::absolute(path).string();
}

bool is_drunner(const std::string& name) {
    return name.starts_with("drunner");
}

std::string prefix_of(const std::string& invoked) {
    if (const std::string prefix = environment("DRUNNER_PREFIX"); !prefix.empty()) {
        return std::filesystem::absolute(prefix).lexically_normal().string();
    }
    return is_drunner(base_name(invoked)) ? std::string() : prefix_of_launcher(invoked);
}

ProgressStyle style_of(const Arguments& arguments) {
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const bool colour = terminal && !arguments.has("no-color") && environment("NO_COLOR").empty();
    return {arguments.has("quiet"), arguments.has("verbose"), colour, terminal};
}

std::unique_ptr<Progress> progress_of(const Arguments& arguments) {
    const ProgressStyle style = style_of(arguments);
    if (arguments.has("progress")) {
        return std::make_unique<EventProgress>(style);
    }
    return std::make_unique<StderrProgress>(style);
}

// The real outside world, and the owner of its parts.
class RealMachine {
  public:
    RealMachine(const Arguments& arguments, const std::optional<ServiceName>& service,
                const std::string& prefix, const std::string& command_line)
        : paths_(prefix), progress_(progress_of(arguments)) {
        if (!arguments.has("check")) {
            set_up_log(paths_.log_directory(), command_line);
        }
        OperatorConfig config = load_operator_config(paths_);
        const std::string socket = socket_for(service, arguments.value("host"));
        EngineLimits limits;
        if (config.engine_timeout) {
            limits.answer = limits.work = limits.pull = *config.engine_timeout;
        }
        engine_ = make_rest_engine(socket, limits);
        registry_ = make_rest_registry(*engine_, default_docker_config());
        const std::string binary = std::filesystem::read_symlink("/proc/self/exe").string();
        scripts_ = std::make_unique<BashRunner>(BashRunnerSettings{
            prefix, parent_of(binary), config.launcher_directory, config.hook_env});
        machine_ = std::make_unique<Machine>(Machine{
            *engine_, *registry_, *scripts_, clock_, *progress_, paths_, std::move(config), socket,
            drunner_version(), binary, environment("PATH"), command_line,
            std::chrono::seconds(number_option(arguments, "wait", 0, longest_wait_seconds, 0)),
            false, nullptr, accepted_scripts_option(arguments)});
    }

    Machine& machine() { return *machine_; }

  private:
    // An installed service is bound to its engine; only what the operator names (--host,
    // DOCKER_HOST, a context) says otherwise, and is then held against it.
    std::string socket_for(const std::optional<ServiceName>& service,
                           const std::string& host_option) const {
        std::string socket = engine_socket(host_option);
        const bool is_named = !host_option.empty() || !environment("DOCKER_HOST").empty() ||
                              socket != default_engine_socket;
        if (!service || is_named) {
            return socket;
        }
        try {
            const auto manifest = Catalog(paths_).find(*service);
            if (manifest && !manifest->engine_socket.empty()) {
                return manifest->engine_socket;
            }
        } catch (const Error&) {
            // Broken: the operation itself says so, and what to type.
        }
        return socket;
    }

    Paths paths_;
    SystemClock clock_;
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Registry> registry_;
    std::unique_ptr<BashRunner> scripts_;
    std::unique_ptr<Machine> machine_;
};

int run(int argc, char** argv) {
    install_signal_handlers();
    const std::string invoked = invoked_path();
    const std::string own_name = argc > 0 ? base_name(argv[0]) : std::string("drunner");
    std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    if (!is_drunner(own_name)) {
        words.insert(words.begin(), {"servicecmd", own_name});
    }
    const std::string prefix = prefix_of(invoked);
    const std::string command_line = "drunner " + join(without_values(words), " ");
    std::unique_ptr<RealMachine> real;
    const MachineMaker make_machine = [&](const Arguments& arguments,
                                          const std::optional<ServiceName>& service) -> Machine& {
        if (!real) {
            real = std::make_unique<RealMachine>(arguments, service, prefix, command_line);
        }
        return real->machine();
    };
    return static_cast<int>(run_command_line(words, make_machine));
}

}  // namespace
}  // namespace drunner

int main(int argc, char** argv) {
    return drunner::run(argc, argv);
}
