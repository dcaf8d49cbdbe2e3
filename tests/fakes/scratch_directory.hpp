#pragma once

#include <stdlib.h>

#include <stdexcept>
#include <string>

#include "host/file.hpp"

namespace drunner::test {

// A directory of a test's own, removed with it.
class ScratchDirectory {
  public:
    explicit ScratchDirectory(const std::string& parent = "/tmp") {
        path_ = parent + "/drunner-test-XXXXXX";
        if (mkdtemp(path_.data()) == nullptr) {
            throw std::runtime_error("cannot make a scratch directory");
        }
    }
    ~ScratchDirectory() {
        // Trees that are too deep for remove_tree's descriptors are left to the shell.
        if (system(("rm -rf '" + path_ + "'").c_str()) != 0) {
            abort();
        }
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    // Makes a directory in it.
    std::string make(const std::string& name) const {
        make_directories(path_ + "/" + name, 0755);
        return path_ + "/" + name;
    }

  private:
    std::string path_;
};

}  // namespace drunner::test
