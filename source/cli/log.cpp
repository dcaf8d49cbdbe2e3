#include "cli/log.hpp"

#include <fcntl.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <mutex>

#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::size_t file_bytes = 5U << 20U;
constexpr std::size_t kept_files = 3;

// Work side by side writes it from several threads.
std::mutex mutex;
std::string log_directory;
std::string log_command;
std::shared_ptr<spdlog::logger> logger;

void open_log() {
    const std::string path = log_directory + "/drunner.log";
    make_directories(log_directory);
    // spdlog would create it readable for everybody.
    const FileDescriptor created(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    logger = std::make_shared<spdlog::logger>(
        "drunner",
        std::make_shared<spdlog::sinks::rotating_file_sink_st>(path, file_bytes, kept_files));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S%z %l [%P] %v");
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::debug);
    logger->info("{}", printable(log_command));
}

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

}  // namespace

void set_up_log(const std::string& directory, const std::string& command) {
    const std::lock_guard lock(mutex);
    log_directory = directory;
    log_command = command;
}

void log_line(LogLevel level, std::string_view text) {
    const std::lock_guard lock(mutex);
    if (log_directory.empty()) {
        return;
    }
    try {
        if (!logger) {
            open_log();
        }
        for (const std::string& one : split(trim(text), '\n')) {
            logger->log(level_of(level), "{}", printable(one));
        }
    } catch (const std::exception&) {
        log_directory.clear();
    }
}

}  // namespace drunner
