#pragma once

#include "check/image_facts.hpp"

namespace drunner {

// Lets bash -n and shellcheck read the scripts and keeps what they say. They run as nobody, without
// new privileges, over copies in a directory that is removed afterwards, with a time limit; no
// script is executed. Where a program is missing, or runs too long, the facts say so.
void read_script_remarks(ImageFacts& facts);

}  // namespace drunner
