#include "operation/script_remarks.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>

#include "check/subject.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/process.hpp"

namespace drunner {
namespace {

constexpr std::chrono::seconds limit{60};
constexpr std::size_t most_output = 4U << 20U;
constexpr std::size_t most_scripts = 200;
constexpr unsigned nobody = 65534;
constexpr const char* setpriv = "/usr/bin/setpriv";
constexpr const char* bash = "/bin/bash";
constexpr const char* shellcheck = "/usr/bin/shellcheck";

// Copies of the scripts under names that say nothing, which only nobody can read: in /tmp, because
// nobody cannot enter drunner's own directories.
class Copies {
  public:
    explicit Copies(const ImageFiles& files) {
        std::string pattern = "/tmp/drunner-scripts-XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr) {
            throw system_error("cannot make a directory below '/tmp'", errno);
        }
        directory_ = pattern;
        try {
            for (const auto& [name, file] : files) {
                if (is_shell_script(name, file.content) && name != "variables.sh" &&
                    name != "utils.sh") {
                    const std::string path = directory_ + "/" + std::to_string(names_.size());
                    create_file(path, file.content);
                    hand_over(path);
                    names_.push_back(name);
                }
            }
            hand_over(directory_);
        } catch (...) {
            remove_tree(directory_);
            throw;
        }
    }
    ~Copies() {
        try {
            remove_tree(directory_);
        } catch (const Error&) {
            // Left in /tmp, which the host empties itself.
            return;
        }
    }
    Copies(const Copies&) = delete;
    Copies& operator=(const Copies&) = delete;

    const std::vector<std::string>& names() const { return names_; }
    std::string path(std::size_t index) const { return directory_ + "/" + std::to_string(index); }
    // The name of the copy at that path.
    const std::string& name_of(const std::string& path) const {
        return names_.at(std::stoul(path.substr(path.find_last_of('/') + 1)));
    }
    const std::string& directory() const { return directory_; }

  private:
    static void hand_over(const std::string& path) {
        if (lchown(path.c_str(), nobody, nobody) != 0) {
            throw system_error("cannot give '" + path + "' to nobody", errno);
        }
    }

    std::string directory_;
    std::vector<std::string> names_;
};

struct Reply {
    bool complete = false;
    std::string text;
};

Reply ask(const Copies& copies, std::vector<std::string> program) {
    BoundedProcess process;
    process.arguments = {setpriv,          "--reuid=65534",  "--regid=65534",
                         "--clear-groups", "--no-new-privs", "--"};
    process.arguments.insert(process.arguments.end(), program.begin(), program.end());
    process.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent"};
    process.directory = copies.directory();
    process.limit = limit;
    Reply reply;
    process.output = [&](std::string_view text) {
        reply.text += text.substr(0, most_output - std::min(most_output, reply.text.size()));
    };
    const BoundedResult result = run_bounded(process);
    // 126 and 127 are setpriv's: it could not run the program.
    reply.complete = !result.timed_out && result.status < 126 && reply.text.size() < most_output;
    return reply;
}

// "PATH: line N: what": one remark for each line that says so.
void add_syntax(const std::string& name, const Reply& reply, std::vector<ScriptRemark>& remarks) {
    for (const std::string& line : split(reply.text, '\n')) {
        const std::size_t at = line.find(": line ");
        if (at == std::string::npos) {
            continue;
        }
        const std::size_t number = at + 7;
        const std::size_t colon = line.find(": ", number);
        if (colon == std::string::npos) {
            continue;
        }
        ScriptRemark remark;
        remark.file = name;
        remark.line = std::atoi(line.c_str() + number);
        remark.text = line.substr(colon + 2);
        // Its second line shows the text itself, in quotes.
        if (!remark.text.starts_with("`")) {
            remarks.push_back(std::move(remark));
        }
    }
}

ScriptRemark::Weight weight_of(const std::string& level) {
    if (level == "error") {
        return ScriptRemark::Weight::error;
    }
    return level == "warning" ? ScriptRemark::Weight::warning : ScriptRemark::Weight::note;
}

void read_syntax(const Copies& copies, ImageFacts& facts) {
    std::vector<ScriptRemark> remarks;
    for (std::size_t i = 0; i < copies.names().size(); ++i) {
        const Reply reply = ask(copies, {bash, "--norc", "--noprofile", "-n", copies.path(i)});
        if (!reply.complete) {
            facts.syntax_problem = "bash -n does not come to an end";
            return;
        }
        add_syntax(copies.names()[i], reply, remarks);
    }
    facts.syntax = std::move(remarks);
}

// SC1090, SC1091: what is sourced is made on the host. SC2034, SC2154: variables that drunner reads
// and writes.
void read_lint(const Copies& copies, ImageFacts& facts) {
    if (copies.names().empty()) {
        facts.lint.emplace();
        return;
    }
    std::vector<std::string> program{shellcheck, "--norc", "--format=json1", "--shell=bash",
                                     "--exclude=SC1090,SC1091,SC2034,SC2154"};
    for (std::size_t i = 0; i < copies.names().size(); ++i) {
        program.push_back(copies.path(i));
    }
    const Reply reply = ask(copies, std::move(program));
    const auto document = nlohmann::json::parse(reply.text, nullptr, false);
    if (!reply.complete || !document.is_object() || !document.contains("comments")) {
        facts.lint_problem = "shellcheck does not come to an end";
        return;
    }
    std::vector<ScriptRemark> remarks;
    for (const auto& one : document["comments"]) {
        ScriptRemark remark;
        remark.file = copies.name_of(one.value("file", ""));
        remark.line = one.value("line", 0);
        remark.weight = weight_of(one.value("level", ""));
        remark.text =
            one.value("message", "") + " [SC" + std::to_string(one.value("code", 0)) + "]";
        remarks.push_back(std::move(remark));
    }
    facts.lint = std::move(remarks);
}

}  // namespace

void read_script_remarks(ImageFacts& facts) {
    if (!facts.files) {
        facts.syntax_problem = facts.lint_problem = "/drunner cannot be read";
        return;
    }
    if (!exists(setpriv) || geteuid() != 0) {
        facts.syntax_problem = facts.lint_problem =
            "it takes root, and setpriv of util-linux, to run programs as nobody";
        return;
    }
    const Copies copies(*facts.files);
    if (copies.names().size() > most_scripts) {
        facts.syntax_problem = facts.lint_problem =
            "there are more than " + std::to_string(most_scripts) + " scripts";
        return;
    }
    read_syntax(copies, facts);
    if (exists(shellcheck)) {
        read_lint(copies, facts);
    } else {
        facts.lint_problem = "shellcheck is not installed";
    }
}

}  // namespace drunner
