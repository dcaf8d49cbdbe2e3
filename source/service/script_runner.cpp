#include "service/script_runner.hpp"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "host/file.hpp"
#include "host/network.hpp"
#include "host/process.hpp"

namespace drunner {
namespace {

struct HookRow {
    Hook hook;
    std::string_view version_1;
    std::string_view version_2;
};

constexpr std::array hook_rows{
    HookRow{Hook::install, "install", "install_end"},
    HookRow{Hook::update_start, "updatestart", "update_start"},
    HookRow{Hook::update_end, "updateend", "update_end"},
    HookRow{Hook::backup_start, "backupstart", "backup_start"},
    HookRow{Hook::backup_end, "backupend", "backup_end"},
    HookRow{Hook::restore, "restore", "restore_end"},
    HookRow{Hook::uninstall, "uninstall", "uninstall_start"},
    HookRow{Hook::obliterate, "obliterate", "obliterate_start"},
    HookRow{Hook::enter_start, "", "enter_start"},
    HookRow{Hook::status_start, "", "status_start"},
    HookRow{Hook::status_end, "", "status_end"},
    HookRow{Hook::command_start, "", "servicecmd_start"},
    HookRow{Hook::command_end, "", "servicecmd_end"},
    HookRow{Hook::selftest, "selftest", "selftest"},
    HookRow{Hook::check_secret, "checksecret", "check_secret"},
};

// What a hook gets of the caller's environment where it is set there.
constexpr std::array passed_on{"HOME",        "USER",          "LOGNAME",    "SHELL",
                               "LANG",        "LC_ALL",        "TZ",         "TERM",
                               "HOSTNAME",    "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY",
                               "FTP_PROXY",   "ALL_PROXY",     "NO_PROXY",   "http_proxy",
                               "https_proxy", "ftp_proxy",     "all_proxy",  "no_proxy"};
constexpr std::string_view standard_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

constexpr int no_change = 3;
constexpr int command_not_found = 127;

// The end of a stream, in bounded memory.
class LastLines {
  public:
    void add(std::string_view bytes) {
        any_ = any_ || !bytes.empty();
        text_ += bytes;
        if (text_.size() > 2 * most_bytes) {
            text_.erase(0, text_.size() - most_bytes);
        }
    }
    bool any() const { return any_; }
    std::string text() const {
        std::size_t begin = text_.size();
        // The newline that ends the last line begins no further one.
        std::size_t before = text_.empty() ? 0 : text_.size() - 1;
        for (int lines = 0; lines < most_lines; ++lines) {
            const std::size_t newline =
                before == 0 ? std::string::npos : text_.rfind('\n', before - 1);
            if (newline == std::string::npos) {
                begin = 0;
                break;
            }
            begin = newline + 1;
            before = newline;
        }
        begin = std::max(begin, text_.size() - std::min(text_.size(), most_bytes));
        return text_.substr(begin);
    }

  private:
    static constexpr int most_lines = 50;
    static constexpr std::size_t most_bytes = 64UL * 1024;

    std::string text_;
    bool any_ = false;
};

std::vector<std::string> hook_environment(const BashRunnerSettings& settings,
                                          const HookCall& call) {
    std::map<std::string, std::string> variables;
    // cron and systemd set few of these, and scripts under `nounset` rely on them.
    passwd user{};
    passwd* found = nullptr;
    std::array<char, 16384> texts{};
    if (getpwuid_r(geteuid(), &user, texts.data(), texts.size(), &found) == 0 && found != nullptr) {
        variables = {{"HOME", user.pw_dir},
                     {"USER", user.pw_name},
                     {"LOGNAME", user.pw_name},
                     {"SHELL", user.pw_shell}};
    }
    variables["TERM"] = "dumb";
    variables["HOSTNAME"] = host_name();
    const auto pass = [&](const char* name) {
        if (const char* value = getenv(name)) {
            variables[name] = value;
        }
    };
    for (const std::string& name : settings.hook_env) {
        pass(name.c_str());
    }
    for (const char* name : passed_on) {
        pass(name);
    }
    variables.erase("PASS");
    variables.erase("DRUNNER_PREFIX");
    if (!settings.prefix.empty()) {
        variables["DRUNNER_PREFIX"] = settings.prefix;
    }
    variables["DRUNNER_OPERATION"] = call.operation;
    variables["DOCKER_HOST"] = call.docker_host;
    std::string path;
    for (const std::string& directory : {settings.drunner_directory, settings.launcher_directory}) {
        path += directory.empty() ? "" : directory + ":";
    }
    variables["PATH"] = path.append(standard_path);
    std::vector<std::string> environment;
    for (const auto& [name, value] : variables) {
        environment.push_back(name + "=" + value);
    }
    return environment;
}

HookResult::Verdict verdict_of(const HookCall& call, const HookResult& result, bool wrote) {
    using enum HookResult::Verdict;
    if (result.timed_out) {
        return failed;
    }
    if (result.status == 0 || result.status == no_change) {
        return succeeded;
    }
    // What servicecfg.sh asks for has to be there.
    const bool may_be_absent =
        call.version == 2 && call.hook != Hook::selftest && call.hook != Hook::check_secret;
    return may_be_absent && result.status == command_not_found && !wrote ? absent : failed;
}

}  // namespace

std::string hook_name(Hook hook, int version) {
    const auto row = std::find_if(hook_rows.begin(), hook_rows.end(),
                                  [&](const HookRow& candidate) { return candidate.hook == hook; });
    return std::string(version == 2 ? row->version_2 : row->version_1);
}

HookResult BashRunner::run_hook(const HookCall& call) {
    HookResult result;
    const std::string name = hook_name(call.hook, call.version);
    if (name.empty()) {
        result.verdict = HookResult::Verdict::absent;
        return result;
    }
    LastLines last_lines;
    BoundedProcess process;
    process.arguments = {call.script, name};
    process.arguments.insert(process.arguments.end(), call.arguments.begin(), call.arguments.end());
    process.environment = hook_environment(settings_, call);
    process.limit = call.limit;
    FileDescriptor input;
    if (call.input) {
        input = memory_file(call.input->reveal());
        process.input = input.get();
    }
    process.output = [&](std::string_view bytes) {
        last_lines.add(bytes);
        if (call.output) {
            call.output(bytes);
        }
    };
    process.started = call.started;
    const BoundedResult ended = run_bounded(process);
    result.status = ended.status;
    result.timed_out = ended.timed_out;
    result.last_lines = last_lines.text();
    result.verdict = verdict_of(call, result, last_lines.any());
    return result;
}

int BashRunner::run_command(const CommandCall& call) {
    std::vector<std::string> arguments{call.script};
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    return run_attached(arguments, {"DOCKER_HOST=" + call.docker_host});
}

}  // namespace drunner
