#pragma once

#include <map>
#include <string>
#include <string_view>

#include "archive/image_files.hpp"
#include "operation/machine.hpp"

namespace drunner {

// The gate between a stranger's scripts and root.

// A stranger's text for a reader who decides about root: besides what printable() shows, the
// characters that make text look like what it is not. Lines and tabs stay.
std::string shown_text(std::string_view text);

// Path below /drunner -> SHA-256.
std::map<std::string, std::string> script_hashes(const ImageFiles& files);

// The scripts of a release as they lie on the host, without those that drunner generates.
ImageFiles release_files(const Machine& machine, const ServiceName& service, int release);

// Every operation that is about to put scripts on the host, or in force, calls this before it
// changes or runs anything. REVIEW=show shows what is new in them. REVIEW=pin, or a digest accepted
// on the command line, throws Error(scripts_not_accepted) unless somebody accepted exactly these
// scripts, or they are those of a service's current release: those run as root here already. A
// digest on the command line that is theirs is recorded. `origin` names them in messages.
void review_scripts(Machine& machine, const ServiceName& service, const ImageFiles& files,
                    std::string_view origin);

// A unified diff of scripts, path by path, printable; tabs stay tabs. Empty where both are the
// same.
std::string scripts_diff(const ImageFiles& before, const ImageFiles& after);

}  // namespace drunner
