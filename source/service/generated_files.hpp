#pragma once

#include <map>
#include <string>
#include <string_view>

#include "service/manifest.hpp"

namespace drunner {

// A word that bash reads back as exactly these bytes; NUL cannot stand in it (Error(usage)).
std::string bash_quote(std::string_view text);

struct VariablesInput {
    const Manifest& manifest;
    const Release& release;
    std::string host_address;
    std::string temp_directory;
    std::string secrets_directory;
};

// variables.sh as section 4 of the contract says, settings last.
std::string variables_sh(const VariablesInput& input);
// imagename.sh: IMAGENAME and IMAGEREF.
std::string imagename_sh(const Manifest& manifest, const Release& release);
// utils.sh, from templates/.
std::string utils_sh();

}  // namespace drunner
