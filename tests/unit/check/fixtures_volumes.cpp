#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

Fixture directory(const std::string& rule, const std::function<void(ImageDirectory&)>& bad,
                  const std::function<void(ImageDirectory&)>& good) {
    return {rule, [bad](Draft& draft) { bad(draft.facts.directories["/data"]); },
            [good](Draft& draft) { good(draft.facts.directories["/data"]); }};
}

// VOLUMES of the earlier release, and now.
std::function<void(Draft&)> volumes(const std::vector<std::string>& before,
                                    const std::string& now) {
    return [=](Draft& draft) {
        draft.facts.earlier->config.volumes = before;
        draft.config += "VOLUMES=(" + now + ")\n";
    };
}

}  // namespace

std::vector<Fixture> volume_fixtures() {
    const std::string run = "docker run --rm \"$IMAGENAME\" true";
    return {
        {"image-volumes-declared",
         [](Draft& draft) {
             draft.facts.volumes = {"/data", "/cache"};
         },
         [](Draft& draft) { draft.facts.volumes = {"/data"}; }},
        directory(
            "directories-owned", [](ImageDirectory& one) { one.uid = 0; },
            [](ImageDirectory& one) { one.gid = 0; }),
        directory(
            "directories-closed", [](ImageDirectory& one) { one.mode = 0777; },
            [](ImageDirectory& one) { one.mode = 01777; }),
        directory(
            "directories-are", [](ImageDirectory& one) { one.directory = false; },
            [](ImageDirectory& one) { one.empty = false; }),
        directory(
            "directories-empty", [](ImageDirectory& one) { one.empty = false; },
            [](ImageDirectory& one) { one.mode = 0; }),
        config("not-nested", "VOLUMES=(\"/data\" \"/data/logs\")",
               "VOLUMES=(\"/data\" \"/data-logs\")"),
        config("not-over-the-system", "VOLUMES=(\"/etc\")", "VOLUMES=(\"/etc/app\")"),
        config("not-temporary", "VOLUMES=(\"/var/cache/app\")", "VOLUMES=(\"/var/cached\")"),
        config("short-volume-names", "VOLUMES=(\"/" + std::string(184, 'x') + "\")",
               "VOLUMES=(\"/" + std::string(183, 'x') + "\")"),
        line("volumes-mounted", run, "docker run --rm \"${DOCKEROPTS[@]}\" \"$IMAGENAME\" true"),
        line("no-other-volumes", "docker run -v cache:/cache x", "docker run -v \"$PWD\":/work x"),
        line("no-volume-names", "docker run -v \"drunner-$SERVICENAME-data:/data\" x",
             "docker run -v \"${DOCKERVOLS[0]}:/data\" x"),
        line("volumes-stay", "docker volume rm x", "docker rm -f x; docker volume ls"),
        line("ports-chosen", "docker run -p 80:80 x", "docker run -p \"$PORT:80\" -p 80 x"),
        {"none-left-out", volumes({"/data", "/old"}, "\"/data\""),
         volumes({"/data"}, "\"/data\" \"/new\"")},
        {"volume-order-kept", volumes({"/a", "/b"}, "\"/b\" \"/a\""),
         volumes({"/a", "/b"}, "\"/a\" \"/b\" \"/c\"")},
        {"volume-names-not-taken", volumes({"/a/b"}, "\"/a-b\""), volumes({"/a/b"}, "\"/a-c\"")},
        {"user-kept", [](Draft& draft) { draft.facts.earlier->user.uid = 1; },
         [](Draft& draft) { draft.facts.earlier->user.gid = 1; }},
    };
}

}  // namespace drunner::test
