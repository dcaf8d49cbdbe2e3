#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/progress.hpp"

namespace drunner::test {

// Says nothing, but keeps the warnings.
class SilentProgress : public Progress {
  public:
    void note(std::string_view) override {}
    void warning(std::string_view text) override { warnings.emplace_back(text); }
    void detail(std::string_view) override {}
    void script_output(std::string_view) override {}
    void advance(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
    void end(std::string_view) override {}

    std::vector<std::string> warnings;
};

}  // namespace drunner::test
