#pragma once

#include <map>
#include <string>
#include <vector>

#include "archive/image_files.hpp"
#include "core/service_name.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// One text that an operation changes, in the shape that Ansible's diff mode takes.
struct TextChange {
    std::string before_header;
    std::string after_header;
    std::string before;
    std::string after;
};

// What an operation changes. It tells all of it while it plans, before it begins, with --check and
// without: Machine::changes gathers it. What an operation that fails had told counts for nothing.
struct Changes {
    std::vector<std::string> words;  // one change each: "volume drunner-blog-data: /data (new)"
    std::vector<TextChange> texts;
};

// What stands of a service, by name: "image id" -> "sha256:...", "volume drunner-blog-data" ->
// "/data", "setting PORT" -> "80", "secret KEY" -> "set". Never a secret's content.
using Facts = std::map<std::string, std::string>;
Facts facts_of(const Manifest& manifest);

// What an image would tell that is not here, in words and in facts.
inline constexpr const char* unknown_until_pulled = "unknown until pulled";

// These tell nothing where nobody asks.
void tell_change(const Machine& machine, std::string words);
// One change for every fact that differs, and both lists as texts.
void tell_facts(const Machine& machine, const ServiceName& service, const Facts& before,
                const Facts& after);
// The scripts that run as root, path by path.
void tell_scripts(const Machine& machine, const ServiceName& service, const ImageFiles& before,
                  const ImageFiles& after);
// A new file elsewhere.
void tell_file(Changes& changes, const std::string& path, const std::string& text);

// The texts as unified diffs, for a terminal.
std::string unified_text(const Changes& changes);

}  // namespace drunner
