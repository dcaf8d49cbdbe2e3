#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drunner {

// The text with control characters and bytes that are not UTF-8 shown as \xNN, so that what a
// stranger wrote cannot steer a terminal.
std::string printable(std::string_view text);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& words, std::string_view separator);

// A stranger's lines for the end of a message: each printable, on a line of its own behind "  | ";
// empty where the text is blank.
std::string quoted_lines(std::string_view text);

// The candidate that is nearest to the word by edit distance, empty where none is near enough to
// be what was meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "1.5 MiB", "12 B".
std::string human_size(unsigned long long bytes);

}  // namespace drunner
