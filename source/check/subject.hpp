#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/docker_call.hpp"
#include "check/rule.hpp"
#include "check/shell_text.hpp"

namespace drunner {

// A larger script is not taken apart; a rule says so.
inline constexpr std::size_t largest_script = 256U << 10U;

// One shell script of /drunner.
struct Script {
    std::string name;  // below /drunner
    const ImageFile* file = nullptr;
    ShellText text;
    std::vector<DockerCall> docker;
};

// Facts of an image with its scripts taken apart: what rules look at.
class Subject {
  public:
    enum class Scripts { read, left };

    // `left`: for the contract alone, whose rules do not look into scripts. The facts must outlive
    // the subject.
    Subject(const ImageFacts& facts, Scripts scripts);

    const ImageFacts& facts;

    const ImageFile* find_file(std::string_view name) const;
    const std::vector<Script>& scripts() const { return scripts_; }
    // Empty where servicerunner is no shell script; with one, the rules of verbs can be judged.
    const Script* runner() const;
    // Why a rule with these needs cannot be judged, empty where it can.
    std::string obstacle(Needs needs) const;

    // The places where `look` says something of a command, in every script.
    using Look = std::function<std::optional<std::string>(const ShellCommand&)>;
    std::vector<Found> in_commands(const Look& look) const;
    // The same for calls of docker.
    using DockerLook = std::function<std::optional<std::string>(const DockerCall&)>;
    std::vector<Found> in_docker_calls(const DockerLook& look) const;

  private:
    std::vector<Script> scripts_;
};

// True for a file that a shell reads: by its name, or by its first line.
bool is_shell_script(std::string_view name, std::string_view content);
// The program of a '#!' line and its arguments; empty where there is none.
std::vector<std::string> interpreter_of(std::string_view content);

// The commands of servicerunner that answer to a verb: an arm of a case, or a function of that name
// where servicerunner calls its own argument. Empty optional where the verb is not handled.
std::optional<std::vector<const ShellCommand*>> verb_commands(const ShellText& runner,
                                                              std::string_view verb);
// Every word that a case of servicerunner's own argument names, except '*'.
std::vector<std::string> verbs_of(const ShellText& runner);

// The cases over servicerunner's first argument.
std::vector<const ShellCase*> dispatches(const ShellText& runner);

}  // namespace drunner
