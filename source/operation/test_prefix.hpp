#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/lock.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The place of one test: a prefix of its own below P/var/lib/drunner/tests, locked as long as the
// test goes on, scratch names that nothing else has, and objects of a stranger with names as near
// to them as can be.
class TestPrefix {
  public:
    // A new one. The stranger's container is made from this image.
    TestPrefix(Machine& machine, const std::string& image_id);
    // Removes every service and object of the test, and the prefix; says so where it cannot.
    ~TestPrefix();
    TestPrefix(const TestPrefix&) = delete;
    TestPrefix& operator=(const TestPrefix&) = delete;

    const Paths& paths() const { return paths_; }
    ServiceName service(char letter) const;
    // The tag of the image whose update fails.
    std::string failing_image() const;

    struct Ran {
        int status = 0;
        std::string output;  // stdout and stderr together, bounded
    };
    // drunner, and a launcher, with stdin at its end.
    Ran drunner(std::vector<std::string> words) const;
    Ran launcher(const ServiceName& name, std::vector<std::string> words) const;
    // A program that is looked for on PATH.
    Ran program(std::vector<std::string> words) const;

    // Throws an Error that names what is gone or changed of the stranger's.
    void require_stranger_whole() const;
    // Throws an Error that names what is left of the scratch services.
    void require_nothing_left() const;

  private:
    Ran run(std::vector<std::string> arguments) const;
    void make_stranger(const std::string& image_id);

    Machine& machine_;
    std::string id_;
    FileLock lock_;
    Paths paths_;
};

}  // namespace drunner
