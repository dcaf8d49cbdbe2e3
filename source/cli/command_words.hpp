#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backup/backup_file.hpp"
#include "cli/command.hpp"
#include "core/secret.hpp"
#include "service/operator_config.hpp"

namespace drunner {

// What the words and options that several commands share mean. All throw Error(usage).

std::optional<PullPolicy> pull_option(const Arguments& arguments);

// A whole number of the option between two bounds, `otherwise` where it was not given.
int number_option(const Arguments& arguments, std::string_view option, int least, int most,
                  int otherwise);

// The password of --password-file, else of PASS in the environment (which is then taken out of it,
// so that no child sees it). Empty where neither is given; an empty one is an error.
Secret password_of(const Arguments& arguments);

// The key to read a backup with: password, --identity, --plain, --no-trailer.
OpenKey open_key_of(const Arguments& arguments);

}  // namespace drunner
