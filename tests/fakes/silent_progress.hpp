#pragma once

#include "core/progress.hpp"

namespace drunner::fakes {

class SilentProgress : public Progress {
  public:
    void note(std::string_view) override {}
    void warning(std::string_view) override {}
    void detail(std::string_view) override {}
    void script_output(std::string_view) override {}
    void advance(std::string_view, std::uint64_t, std::uint64_t, std::string_view) override {}
    void end(std::string_view) override {}
};

}  // namespace drunner::fakes
