#include "engine/endpoint.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using drunner::test::TemporaryDirectory;

namespace {

// The three variables that decide, cleared, and back as they were afterwards.
class CleanEnvironment {
  public:
    CleanEnvironment() {
        for (std::size_t i = 0; i < std::size(names); ++i) {
            const char* value = getenv(names[i]);
            was_set_[i] = value != nullptr;
            old_[i] = value == nullptr ? "" : value;
            unsetenv(names[i]);
        }
        setenv("DOCKER_CONFIG", directory.path().c_str(), 1);
    }
    ~CleanEnvironment() {
        for (std::size_t i = 0; i < std::size(names); ++i) {
            if (was_set_[i]) {
                setenv(names[i], old_[i].c_str(), 1);
            } else {
                unsetenv(names[i]);
            }
        }
    }
    CleanEnvironment(const CleanEnvironment&) = delete;
    CleanEnvironment& operator=(const CleanEnvironment&) = delete;

    void write(const std::string& name, const std::string& content) const {
        const std::string path = directory.path() + "/" + name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << content;
    }

    TemporaryDirectory directory;

  private:
    static constexpr const char* names[] = {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"};
    bool was_set_[3] = {};
    std::string old_[3];
};

bool is_refused(const std::string& option, const std::string& words) {
    try {
        engine_socket(option);
        return false;
    } catch (const Error& error) {
        INFO(error.what());
        return error.kind() == ErrorKind::usage &&
               std::string(error.what()).find(words) != std::string::npos;
    }
}

}  // namespace

TEST_CASE("the socket comes from the option, DOCKER_HOST, the context, or is the usual one") {
    const CleanEnvironment environment;
    CHECK(engine_socket("") == "/var/run/docker.sock");
    environment.write("contexts/meta/abc/meta.json",
                      R"({"Name":"mine","Endpoints":{"docker":{"Host":"unix:///c.sock"}}})");
    environment.write("contexts/meta/abd/meta.json",
                      R"({"Name":"far","Endpoints":{"docker":{"Host":"ssh://me@far"}}})");
    environment.write("contexts/meta/abe/meta.json", "not JSON");
    environment.write("config.json", R"({"currentContext":"mine"})");
    CHECK(engine_socket("") == "/c.sock");
    setenv("DOCKER_CONTEXT", "default", 1);
    CHECK(engine_socket("") == "/var/run/docker.sock");
    setenv("DOCKER_CONTEXT", "far", 1);
    CHECK(is_refused("", "docker context 'far'"));
    setenv("DOCKER_CONTEXT", "nobody", 1);
    CHECK(is_refused("", "no docker context 'nobody'"));
    setenv("DOCKER_HOST", "unix:///h.sock", 1);
    CHECK(engine_socket("") == "/h.sock");
    CHECK(engine_socket("unix:///o.sock") == "/o.sock");
    CHECK(engine_socket("/o.sock") == "/o.sock");
    CHECK(is_refused("tcp://127.0.0.1:2375", "from --host"));
    CHECK(is_refused("unix://relative", "from --host"));
    setenv("DOCKER_HOST", "npipe:////./pipe/docker", 1);
    CHECK(is_refused("", "from DOCKER_HOST"));
}

TEST_CASE("a socket's DOCKER_HOST names it") {
    CHECK(docker_host("/var/run/docker.sock") == "unix:///var/run/docker.sock");
}
