#include "service/skeleton.hpp"

#include <doctest/doctest.h>

#include "core/error.hpp"
#include "service/service_config.hpp"

namespace drunner::test {

TEST_CASE("a skeleton is filled to the last mark") {
    SkeletonRequest request{ServiceName("demo")};
    request.base = ImageReference("drunner-base");
    request.volume = "/var/lib/demo";
    request.port = 8080;
    const auto files = make_skeleton(request);
    CHECK(files.size() == 4);
    for (const auto& each : files) {
        const std::string& name = each.first;
        const auto& file = each.second;
        CAPTURE(name);
        CHECK(file.executable == name.ends_with("servicerunner"));
        for (std::size_t at = file.content.find('@'); at != std::string::npos;
             at = file.content.find('@', at + 1)) {
            // "$@" and "[@]" are the shell's.
            CHECK((file.content[at - 1] == '$' || file.content[at - 1] == '['));
        }
    }
    const ParsedConfig config = parse_service_config(files.at("drunner/servicecfg.sh").content);
    REQUIRE(config.config);
    CHECK(config.config->volumes == std::vector<std::string>{"/var/lib/demo"});
    CHECK(config.config->version == 1);
    REQUIRE(config.config->settings.size() == 1);
    CHECK(config.config->settings[0].name == "PORT");
    CHECK(config.config->settings[0].default_value.empty());
    CHECK(files.at("Dockerfile").content.find("ARG BASE_IMAGE=drunner-base\n") !=
          std::string::npos);
    CHECK(files.at("Dockerfile").content.find("EXPOSE 8080\n") != std::string::npos);
    CHECK(files.at("drunner/servicerunner").content.find("\"${PORT:+$PORT:}8080\"") !=
          std::string::npos);
    CHECK(
        files.at("drunner/servicerunner").content.find("== drill ]]; then PORT=; fi\n    docker") !=
        std::string::npos);
}

TEST_CASE("a skeleton of version 2 has its hooks' names") {
    SkeletonRequest request{ServiceName("demo")};
    request.version = 2;
    const auto files = make_skeleton(request);
    const std::string& runner = files.at("drunner/servicerunner").content;
    CHECK(runner.find("    install_end)") != std::string::npos);
    CHECK(runner.find("uninstall_start | obliterate_start)") != std::string::npos);
    CHECK(runner.find("backupstart)") == std::string::npos);
    CHECK(parse_service_config(files.at("drunner/servicecfg.sh").content).config->version == 2);
}

TEST_CASE("a volume that would need quotes, or breaks the contract, is refused") {
    for (const char* volume : {"/a b", "/a\"b", "/$HOME", "data", "/", "/a/../b"}) {
        CAPTURE(volume);
        SkeletonRequest request{ServiceName("demo")};
        request.volume = volume;
        CHECK_THROWS_AS(make_skeleton(request), Error);
    }
}

}  // namespace drunner::test
