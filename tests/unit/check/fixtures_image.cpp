#include "unit/check/draft.hpp"

namespace drunner::test {
namespace {

void user_is(Draft& draft, const std::string& user, unsigned uid, unsigned gid) {
    draft.facts.user = user;
    draft.facts.resolved_user = ImageUser{uid, gid};
}

Fixture user(const std::string& rule, unsigned bad_uid, unsigned bad_gid, unsigned good_uid,
             unsigned good_gid) {
    const auto with = [](unsigned uid, unsigned gid) {
        return [=](Draft& draft) {
            user_is(draft, std::to_string(uid) + ":" + std::to_string(gid), uid, gid);
        };
    };
    return {rule, with(bad_uid, bad_gid), with(good_uid, good_gid)};
}

std::vector<Fixture> contract_fixtures() {
    return {
        {"platform", [](Draft& draft) { draft.facts.os = "windows"; },
         [](Draft& draft) { draft.facts.os = ""; }},
        {"user-not-root", [](Draft& draft) { draft.facts.user = ""; },
         [](Draft& draft) { draft.facts.user = "web"; }},
        {"user-resolves", [](Draft& draft) { draft.facts.user_problem = "there is no user 'web'"; },
         [](Draft& draft) { draft.facts.user = "1:1"; }},
        {"drunner-directory",
         [](Draft& draft) { draft.facts.files_problem = "the image's file 'x' is a fifo"; },
         [](Draft& draft) { draft.file("deep/er/file").content = "x"; }},
        {"servicecfg-present", [](Draft& draft) { draft.missing = "servicecfg.sh"; },
         [](Draft& draft) { draft.config = ""; }},
        {"servicerunner-present", [](Draft& draft) { draft.missing = "servicerunner"; },
         [](Draft& draft) { draft.missing = "servicecfg.sh"; }},
        file("servicerunner-not-empty", "servicerunner", "", "x"),
        file("servicerunner-shebang", "servicerunner", "\xef\xbb\xbf#!/bin/bash\n", "#!x"),
        file("servicerunner-line-ends", "servicerunner", "#!/bin/bash\r\n:\r\n",
             "#!/bin/bash\n:\r\n"),
        config("servicecfg-valid", "VOLUMES=(\"data\")", "VOLUMES=()"),
        {"generated-names", [](Draft& draft) { draft.file("utils.sh"); },
         [](Draft& draft) { draft.file("utils-more.sh"); }},
    };
}

std::vector<Fixture> user_fixtures() {
    return {
        {"user-by-number", [](Draft& draft) { user_is(draft, "web", 22022, 22022); },
         [](Draft& draft) { user_is(draft, "30000", 30000, 1); }},
        user("user-of-its-own", 1000, 22022, 10001, 1000),
        user("user-not-nobody", 65534, 1, 65533, 65534),
        user("user-not-of-the-host", 33, 33, 2000, 33),
        user("user-group-not-root", 22022, 0, 22022, 1),
        user("user-mapped", 65536, 1, 65535, 100000),
        {"scripts-not-world-writable", [](Draft& draft) { draft.file("x").mode = 0666; },
         [](Draft& draft) { draft.file("x").mode = 0775; }},
        {"scripts-owned-by-root", [](Draft& draft) { draft.file("x").uid = 22022; },
         [](Draft& draft) { draft.file("x").gid = 22022; }},
        {"extra-containers-not-root",
         [](Draft& draft) { draft.facts.extra_images["redis:7"].user = "0:5"; },
         [](Draft& draft) { draft.facts.extra_images["redis:7"].user = "rooted"; }},
    };
}

std::vector<Fixture> privilege_fixtures() {
    return {
        line("no-privileged", "docker run --privileged busybox", "# docker run --privileged x"),
        line("no-engine-socket", "docker run -v /var/run/docker.sock:/s busybox",
             "echo 'docker run -v /var/run/docker.sock:/s busybox'"),
        line("no-root-mount", "docker run --mount type=bind,src=/,dst=/host x",
             "docker run -v \"$PWD:/work\" x"),
        line("no-system-mount", "docker run -v /srv/web:/web x",
             "docker run -v /etc/localtime:/etc/localtime:ro x"),
        line("own-network", "docker run --net=host x", "docker run --net \"$NETWORK\" host"),
        line("own-namespaces", "docker run --pid host x", "docker run x --pid host"),
        line("few-capabilities", "docker run --cap-add cap_sys_admin x",
             "docker run --cap-drop ALL --cap-add NET_BIND_SERVICE x"),
        line("confined", "docker run --security-opt seccomp=unconfined x",
             "docker run --security-opt no-new-privileges x"),
        line("containers-not-root", "docker exec -u root \"$SERVICENAME\" ls",
             "docker exec -u 22022 \"$SERVICENAME\" ls -u root"),
        line("no-devices", "docker run --device=/dev/ttyUSB0 x", "docker run --dns 1.1.1.1 x"),
        line("no-chmod-777", "chmod -R a+rw \"$1\"", "chmod 0755 \"$1\"; chmod go-w \"$1\""),
    };
}

std::vector<Fixture> secret_fixtures() {
    return {
        {"no-secret-in-env",
         [](Draft& draft) { draft.facts.environment = {"MYSQL_ROOT_PASSWORD=root"}; },
         [](Draft& draft) {
             draft.facts.environment = {"MYSQL_ROOT_PASSWORD=", "PASSWORD_FILE=/run/x",
                                        "COMPASS=north"};
         }},
        {"no-secret-in-labels",
         [](Draft& draft) { draft.facts.labels["org.example.token"] = "123"; },
         [](Draft& draft) { draft.facts.labels["org.example.broken"] = "123"; }},
        file("no-private-key", "key", "x\n-----BEGIN OPENSSH PRIVATE KEY-----\n",
             "-----BEGIN PUBLIC KEY-----\n"),
        file("no-token", "token.txt", "id=AKIA0123456789ABCDEF", "XAKIA0123456789ABCDEF AKIA12"),
        line("no-secret-in-scripts", "export DB_PASSWORD=hunter2",
             "DB_PASSWORD=$(head -c 32 /dev/urandom | base64)"),
        line("no-secret-in-arguments", "docker exec -e \"PASSWORD=$PASS\" x sh",
             "docker exec -e PASSWORD x sh; docker login --password-stdin"),
        config("no-secret-default", "SETTINGS=(\"ADMIN_PASSWORD||admin|of the admin\")",
               "SETTINGS=(\"ADMIN_PASSWORD|required||of the admin\" "
               "\"SECRET_BACKEND||file|who keeps them\")"),
    };
}

}  // namespace

std::vector<Fixture> image_fixtures() {
    std::vector<Fixture> all;
    for (const auto& part :
         {contract_fixtures(), user_fixtures(), privilege_fixtures(), secret_fixtures()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace drunner::test
