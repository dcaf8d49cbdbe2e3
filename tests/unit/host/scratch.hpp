#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <stdexcept>
#include <string>

#include "host/file.hpp"

namespace drunner::test {

// A directory that goes with the test.
class Scratch {
  public:
    Scratch() : path_("/tmp/drunner-test-XXXXXX") {
        if (mkdtemp(path_.data()) == nullptr) {
            throw std::runtime_error("cannot make a scratch directory");
        }
    }
    ~Scratch() { remove_tree(path_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    // Writes an executable file and answers its path.
    std::string script(const std::string& name, const std::string& text) const {
        write_file(file(name), text, 0755);
        return file(name);
    }

  private:
    std::string path_;
};

}  // namespace drunner::test
