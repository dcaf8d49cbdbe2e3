#include <nlohmann/json.hpp>

#include "backup/age_key.hpp"
#include "cli/commands.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/clock.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr const char* default_file = "drunner-identity.txt";

void require_creatable(const std::string& file) {
    if (exists(file)) {
        throw Error(ErrorKind::file_exists, "'" + printable(file) + "' exists already");
    }
    if (file_type(parent_of(file)) == FileType::absent) {
        throw Error(ErrorKind::system, "'" + printable(parent_of(file)) + "' is not there");
    }
}

Answer run(const Invocation& invocation) {
    const std::vector<std::string>& words = invocation.arguments.words;
    const std::string file = words.empty() ? default_file : words[0];
    const AgeKeyPair pair = make_age_key_pair(iso8601(SystemClock().now()));
    if (invocation.is_check()) {
        require_creatable(file);
    } else {
        create_file(file, pair.identity_file);
    }
    invocation.changes.words.push_back("key file '" + printable(file) + "' is new");
    return {
        ExitCode::done, pair.recipient + "\n",
        nlohmann::json{
            {"command", "keygen"}, {"changed", true}, {"file", file}, {"recipient", pair.recipient}}
            .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)};
}

}  // namespace

constinit const Command keygen_command{
    "keygen",
    "[FILE]",
    "make a key pair for backups: an age identity file, and its recipient",
    "0 written (FILE, else 'drunner-identity.txt' here), 1 failed, or the file exists",
    {},
    0,
    1,
    false,
    run,
    CheckMode::foretold};

}  // namespace drunner
