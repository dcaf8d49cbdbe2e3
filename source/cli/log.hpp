#pragma once

#include <string>
#include <string_view>

namespace drunner {

enum class LogLevel { debug, info, warning, error };

// Chooses the log's directory and names the operation. The file (drunner.log, 0600, rotated) is
// opened at the first line; where it cannot be, there is no log: a log line changes nothing. Both
// may be called from several threads.
void set_up_log(const std::string& directory, const std::string& command);
void log_line(LogLevel level, std::string_view text);

}  // namespace drunner
