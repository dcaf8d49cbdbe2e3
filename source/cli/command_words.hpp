#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/backup_file.hpp"
#include "cli/command.hpp"
#include "core/secret.hpp"
#include "service/operator_config.hpp"

namespace drunner {

// What the words and options that several commands share mean. All throw Error(usage).

std::optional<PullPolicy> pull_option(const Arguments& arguments);

// As many as this process may use cores.
unsigned default_jobs();

// A whole number of the option between two bounds, `otherwise` where it was not given.
int number_option(const Arguments& arguments, std::string_view option, int least, int most,
                  int otherwise);

// The option of every command that works on several things at once.
inline constexpr OptionRow jobs_row{"jobs", 'j', "N", "how many at once; else as many as cores"};
// Its number, `otherwise` where it was not given.
unsigned jobs_option(const Arguments& arguments, unsigned otherwise = default_jobs());
// Throws where it was given for a single one.
void refuse_jobs(const Arguments& arguments, std::string_view command);

// The password of --password-file, else of PASS in the environment (which is then taken out of it,
// so that no child sees it). Empty where neither is given; an empty one is an error.
Secret password_of(const Arguments& arguments);

// The options of every command that opens a backup; open_key_of reads them.
inline constexpr std::array open_key_options{
    OptionRow{"password-file", 0, "FILE", "decrypt with the password in it (else PASS)"},
    OptionRow{"identity", 0, "FILE", "decrypt with the age identities in it"},
    OptionRow{"plain", 0, nullptr, "a key for a file that is not encrypted is no error"},
    OptionRow{"no-trailer", 0, nullptr, "accept a file that stock tools made, without checksum"},
};
OpenKey open_key_of(const Arguments& arguments);

// The option of every command that puts scripts on the host.
inline constexpr OptionRow accept_scripts_row{"accept-scripts", 0, "SHA256",
                                              "accept the scripts of this digest, and no others"};
// Its digest, empty where it is not given.
std::string accepted_scripts_option(const Arguments& arguments);
// A SHA-256 as a word, with or without "sha256:", as 64 lower-case hexadecimal digits.
std::string digest_of_word(const std::string& word);

// NAME=VALUE words as a map. Throws Error(usage) for a word without '=', or a name given twice.
std::map<std::string, std::string> assignments_of(const std::vector<std::string>& words);

// Two lists of options as one.
template <std::size_t First, std::size_t Second>
constexpr auto joined(const std::array<OptionRow, First>& first,
                      const std::array<OptionRow, Second>& second) {
    std::array<OptionRow, First + Second> all{};
    std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
    return all;
}

}  // namespace drunner
