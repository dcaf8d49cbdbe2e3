#include "service/launcher.hpp"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

constexpr std::string_view program_name = "drunner";
constexpr std::string_view root_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Keywords and builtins of bash and of the POSIX shell: a launcher of that name would never run.
constexpr std::array shell_words{
    "alias",   "bg",       "bind",     "break",     "builtin",  "caller",  "case",    "cd",
    "command", "compgen",  "complete", "compopt",   "continue", "coproc",  "declare", "dirs",
    "disown",  "do",       "done",     "echo",      "elif",     "else",    "enable",  "esac",
    "eval",    "exec",     "exit",     "export",    "false",    "fc",      "fg",      "fi",
    "for",     "function", "getopts",  "hash",      "help",     "history", "if",      "in",
    "jobs",    "kill",     "let",      "local",     "logout",   "mapfile", "popd",    "printf",
    "pushd",   "pwd",      "read",     "readarray", "readonly", "return",  "select",  "set",
    "shift",   "shopt",    "source",   "suspend",   "test",     "then",    "time",    "times",
    "trap",    "true",     "type",     "typeset",   "ulimit",   "umask",   "unalias", "unset",
    "until",   "wait",     "while"};

bool begins_with(std::string_view text, std::string_view beginning) {
    return text.substr(0, beginning.size()) == beginning;
}

bool is_command(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           access(path.c_str(), X_OK) == 0;
}

// The same directory entry, also where its directory has two names (/bin and /usr/bin).
bool same_entry(const std::string& a, const std::string& b) {
    struct stat first {};
    struct stat second {};
    return lstat(a.c_str(), &first) == 0 && lstat(b.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

struct ReservedWord {
    std::string_view word;
    std::string_view advice;  // S stands for the service's name
};

constexpr std::array reserved_words{
    ReservedWord{"install", "drunner install IMAGE S"},
    ReservedWord{"updatestart", "drunner update S"},
    ReservedWord{"updateend", "drunner update S"},
    ReservedWord{"backupstart", "drunner backup S"},
    ReservedWord{"backupend", "drunner backup S"},
    ReservedWord{"restore", "drunner restore FILE S"},
    ReservedWord{"uninstall", "drunner uninstall S"},
    ReservedWord{"obliterate", "drunner obliterate S"},
    ReservedWord{"backup", "drunner backup S"},
    ReservedWord{"update", "drunner update S"},
    ReservedWord{"recover", "drunner recover S"},
    ReservedWord{"rollback", "drunner rollback S"},
    ReservedWord{"checksecret", "drunner secret S set NAME"},
    ReservedWord{"install_end", "drunner install IMAGE S"},
    ReservedWord{"update_start", "drunner update S"},
    ReservedWord{"update_end", "drunner update S"},
    ReservedWord{"backup_start", "drunner backup S"},
    ReservedWord{"backup_end", "drunner backup S"},
    ReservedWord{"restore_end", "drunner restore FILE S"},
    ReservedWord{"uninstall_start", "drunner uninstall S"},
    ReservedWord{"obliterate_start", "drunner obliterate S"},
    ReservedWord{"check_secret", "drunner secret S set NAME"},
    ReservedWord{"enter_start", "drunner enter S"},
    ReservedWord{"status_start", "drunner status S"},
    ReservedWord{"status_end", "drunner status S"},
    ReservedWord{"servicecmd_start", "drunner servicecmd S COMMAND"},
    ReservedWord{"servicecmd_end", "drunner servicecmd S COMMAND"},
};

}  // namespace

void check_launcher_name(const ServiceName& name, std::string_view caller_path,
                         const std::string& own_launcher) {
    const std::string& word = name.text();
    const auto refused = [&](const std::string& why) {
        return Error(ErrorKind::invalid_name, "a service cannot be called '" + word + "': " + why,
                     "drunner install IMAGE ANOTHER-NAME");
    };
    if (begins_with(word, program_name)) {
        throw refused("names that begin with 'drunner' are drunner's own");
    }
    if (std::find(shell_words.begin(), shell_words.end(), word) != shell_words.end()) {
        throw refused("it is a word of the shell");
    }
    const bool own_stands = is_launcher(own_launcher);
    for (const std::string& directory :
         split(std::string(caller_path) + ":" + std::string(root_path), ':')) {
        const std::string candidate = (directory.empty() ? "." : directory) + "/" + word;
        if (is_command(candidate) && !(own_stands && same_entry(candidate, own_launcher))) {
            throw refused("'" + printable(candidate) + "' is a command already");
        }
    }
}

bool is_launcher(const std::string& link) {
    const std::string target = read_symlink(link);
    if (target.empty()) {
        return false;
    }
    if (base_name(target) == program_name) {
        return true;
    }
    const std::unique_ptr<char, void (*)(void*)> resolved(realpath(link.c_str(), nullptr), free);
    return resolved && begins_with(base_name(resolved.get()), program_name);
}

void create_launcher(const std::string& link, const std::string& binary) {
    make_directories(parent_of(link), 0755);
    if (symlink(binary.c_str(), link.c_str()) != 0) {
        if (errno == EEXIST) {
            throw Error(ErrorKind::file_exists, "'" + link + "' exists already");
        }
        throw system_error("cannot create the launcher '" + link + "'", errno);
    }
    sync_directory(parent_of(link));
}

bool remove_launcher(const std::string& link) {
    return is_launcher(link) && remove_tree(link);
}

std::string prefix_of_launcher(const std::string& invoked) {
    constexpr std::string_view directory = "/usr/local/bin";
    const std::string parent = parent_of(invoked);
    if (invoked.empty() || invoked.front() != '/' || parent.size() < directory.size() ||
        parent.substr(parent.size() - directory.size()) != directory) {
        return {};
    }
    return parent.substr(0, parent.size() - directory.size());
}

std::string reserved_word_advice(std::string_view word, const ServiceName& name) {
    const auto found = std::find_if(reserved_words.begin(), reserved_words.end(),
                                    [&](const ReservedWord& row) { return row.word == word; });
    if (found == reserved_words.end()) {
        return {};
    }
    std::vector<std::string> words = split(found->advice, ' ');
    std::replace(words.begin(), words.end(), std::string("S"), name.text());
    return join(words, " ");
}

}  // namespace drunner
