#include "engine/rest_engine.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "engine/pull_error.hpp"
#include "fakes/scripted_peer.hpp"
#include "fakes/silent_progress.hpp"
#include "fakes/tar.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using namespace drunner::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const std::string image_document =
    R"({"Id":"sha256:1111111111111111111111111111111111111111111111111111111111111111",)"
    R"("RepoTags":["app:1"],"Os":"linux","Config":{"User":"5"}})";

// An engine of a given version; everything but the negotiation is the test's.
class ScriptedEngine {
  public:
    explicit ScriptedEngine(ScriptedPeer::Script script, std::string version = "1.41",
                            std::string oldest = "1.12")
        : socket_(directory_.path() + "/s"),
          peer_(socket_,
                [script = std::move(script), version, oldest](const PeerRequest& request) {
                    if (request.path == "/_ping") {
                        return version == "podman"
                                   ? reply(200, "OK",
                                           {"Api-Version: 1.41", "Libpod-Api-Version: 4.3.1"})
                                   : reply(200, "OK", {"Api-Version: " + version});
                    }
                    if (request.path == "/version") {
                        return reply(200, R"({"ApiVersion":")" + version +
                                              R"(","MinAPIVersion":")" + oldest + R"("})");
                    }
                    return script(request);
                }),
          engine_(make_rest_engine(socket_, {milliseconds{1000}, milliseconds{100},
                                             milliseconds{100}, milliseconds{100}})) {}

    Engine* operator->() { return engine_.get(); }
    Engine& operator*() { return *engine_; }
    PeerRequest last() const { return peer_.requests().back(); }
    std::vector<PeerRequest> requests() const { return peer_.requests(); }
    std::size_t count() const { return peer_.requests().size(); }

  private:
    TemporaryDirectory directory_;
    std::string socket_;
    ScriptedPeer peer_;
    std::unique_ptr<Engine> engine_;
};

template <typename Call>
Error thrown_by(Call&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error(ErrorKind::system, "");
}

bool says(const Error& error, const std::string& text) {
    INFO(error.what());
    return std::string(error.what()).find(text) != std::string::npos;
}

Error pull(ScriptedEngine& engine) {
    SilentProgress progress;
    return thrown_by([&] { engine->pull_image(ImageReference("quay.io/a/app:1"), {}, progress); });
}

}  // namespace

TEST_CASE("the newest version that both speak is used") {
    struct Row {
        const char* version;
        const char* oldest;
        const char* prefix;
    };
    for (const Row& row : {Row{"1.41", "1.12", "/v1.41/"}, Row{"1.44", "1.24", "/v1.44/"},
                           Row{"1.47", "1.24", "/v1.47/"}, Row{"1.51", "1.44", "/v1.47/"},
                           Row{"1.60", "1.47", "/v1.47/"}}) {
        CAPTURE(row.version);
        ScriptedEngine engine([](const PeerRequest&) { return reply(200, image_document); },
                              row.version, row.oldest);
        CHECK(engine->find_image("app:1"));
        CHECK(engine.last().path == std::string(row.prefix) + "images/app:1/json");
        const std::size_t asked = engine.count();
        engine->find_image("app:1");
        CHECK(engine.count() == asked + 1);
    }
}

TEST_CASE("an engine that is too old, too new or none is refused") {
    const auto refused = [](const char* version, const char* oldest, const char* word) {
        ScriptedEngine engine([](const PeerRequest&) { return reply(200, image_document); },
                              version, oldest);
        const Error error = thrown_by([&] { engine->find_image("app:1"); });
        CHECK(error.kind() == ErrorKind::engine_refused);
        CHECK(says(error, word));
    };
    refused("1.40", "1.12", "too old");
    refused("1.60", "1.48", "too new");
    refused("", "", "not a container engine");
    refused("1.41x", "", "not a container engine");
}

TEST_CASE("documents of old and new engines are read alike") {
    const std::string rest =
        R"("Id":"sha256:1111","RepoTags":["app:1"],"RepoDigests":null,"Os":"linux",)"
        R"("Architecture":"amd64","Size":7,"Config":{"User":"u","Env":["A=b"],"Cmd":["c"],)"
        R"("Entrypoint":null,"Volumes":{"/v":{}},"ExposedPorts":{"1/tcp":{}},"Labels":null,)"
        R"("Healthcheck":{"Test":["CMD","x"]}})";
    for (const std::string& document :
         {R"({"VirtualSize":7,"ContainerConfig":{"User":"other"},)" + rest + "}",
          "{" + rest + "}"}) {
        ScriptedEngine engine([&](const PeerRequest&) { return reply(200, document); });
        const auto image = engine->find_image("app:1");
        REQUIRE(image);
        CHECK(image->user == "u");
        CHECK(image->size == 7);
        CHECK(image->digests.empty());
        CHECK(image->entrypoint.empty());
        CHECK(image->command == std::vector<std::string>{"c"});
        CHECK(image->environment == std::vector<std::string>{"A=b"});
        CHECK(image->volumes == std::vector<std::string>{"/v"});
        CHECK(image->exposed_ports == std::vector<std::string>{"1/tcp"});
        CHECK(image->labels.empty());
        CHECK(image->has_healthcheck);
    }
}

TEST_CASE("how an engine maps users and what it trusts is read from one document") {
    ScriptedEngine engine([](const PeerRequest& request) {
        return request.path.ends_with("/info")
                   ? reply(200, R"({"SecurityOptions":["name=seccomp,profile=default",)"
                                R"("name=userns"],"RegistryConfig":{"InsecureRegistryCIDRs":)"
                                R"(["127.0.0.0/8"],"IndexConfigs":{"docker.io":{"Secure":true},)"
                                R"("r:5000":{"Secure":false}}}})")
                   : reply(500, "{}");
    });
    const EngineInfo info = engine->info();
    CHECK(info.user_namespaces);
    CHECK(info.insecure_registries == std::vector<std::string>{"127.0.0.0/8", "r:5000"});
}

TEST_CASE("refusals have their kind and the engine's own words") {
    struct Row {
        int status;
        const char* body;
        ErrorKind kind;
        const char* words;
    };
    for (const Row& row :
         {Row{500, R"({"message":"driver failed\u001b[31m"})", ErrorKind::engine_refused,
              "cannot start container 'web': driver failed\\x1b[31m"},
          Row{500, "<html>garbage\n", ErrorKind::engine_refused, "<html>garbage"},
          Row{500, "", ErrorKind::engine_refused, "HTTP status 500"},
          Row{400, R"({"message":7})", ErrorKind::engine_refused, "7"},
          Row{409, R"({"message":"in use"})", ErrorKind::engine_conflict, "in use"},
          Row{500, R"({"message":"the container name is already in use"})",
              ErrorKind::engine_conflict, "already in use"},
          Row{500, R"({"message":"\"created\" is not running: container state improper"})",
              ErrorKind::engine_conflict, "state improper"},
          Row{404, R"({"message":"no such container"})", ErrorKind::engine_not_found,
              "no such container"}}) {
        CAPTURE(row.body);
        ScriptedEngine engine([&](const PeerRequest&) { return reply(row.status, row.body); });
        const Error error = thrown_by([&] { engine->start_container("web"); });
        CHECK(error.kind() == row.kind);
        CHECK(says(error, row.words));
    }
}

TEST_CASE("Podman fills new volumes before anything starts, and takes its own limits back") {
    const std::string id(64, 'c');
    ScriptedEngine engine(
        [&](const PeerRequest& request) {
            if (request.path.ends_with("/init")) {
                return reply(500, R"({"message":"a command that was not found"})");
            }
            return request.method == "POST"  ? reply(201, R"({"Id":")" + id + "\"}")
                   : request.method == "GET" ? reply(200, R"({"Id":")" + id + R"(","Name":"/web"})")
                                             : reply(204, "");
        },
        "podman");
    ContainerSpec spec;
    spec.name = "web";
    spec.image = "app";
    spec.command = {"true"};
    spec.mounts = {{"old", "/old", false}};
    engine->create_container(spec);
    CHECK(engine.count() == 2);
    spec.mounts.push_back({"new", "/new", true});
    engine->create_container(spec);
    const std::vector<PeerRequest> requests = engine.requests();
    REQUIRE(requests.size() == 7);
    const auto filling = nlohmann::json::parse(requests.at(2).body);
    CHECK(filling.at("HostConfig").at("Mounts").size() == 1);
    CHECK(filling.at("HostConfig").at("NetworkMode") == "none");
    CHECK(filling.at("Entrypoint") == nlohmann::json::array({"/.drunner/no-program"}));
    CHECK(requests.at(3).path == "/v4.0.0/libpod/containers/" + id + "/init");
    CHECK(requests.at(5).method == "DELETE");
    CHECK(nlohmann::json::parse(requests.at(6).body).at("HostConfig").at("Mounts").size() == 2);

    engine->create_container_from(
        "web", R"({"Image":"app","HostConfig":{"Ulimits":[{"Name":"RLIMIT_NOFILE","Hard":9}]}})");
    const auto again = nlohmann::json::parse(engine.last().body);
    CHECK(again.at("HostConfig").at("Ulimits").at(0).at("Name") == "nofile");
    CHECK(again.at("HostConfig").at("Ulimits").at(0).at("Hard") == 9);
}

TEST_CASE("an answer that is no document is refused") {
    for (const char* body : {"", "nonsense", "{\"Id\":"}) {
        ScriptedEngine engine([&](const PeerRequest&) { return reply(200, body); });
        CHECK(thrown_by([&] { engine->find_image("app:1"); }).kind() == ErrorKind::engine_refused);
    }
    for (const char* body : {"null", "[]", "7"}) {
        ScriptedEngine engine([&](const PeerRequest&) { return reply(200, body); });
        CHECK(engine->list_volumes({}).empty());
        CHECK(engine->list_containers({}).empty());
        CHECK(engine->list_networks({}).empty());
    }
}

TEST_CASE("an engine that hangs or goes away is told apart from one that refuses") {
    ScriptedEngine hanging([](const PeerRequest&) {
        return PeerReply{"", PeerReply::After::hang};
    });
    CHECK(thrown_by([&] { hanging->find_image("app:1"); }).kind() == ErrorKind::timed_out);
    CHECK(thrown_by([&] { hanging->start_container("web"); }).kind() == ErrorKind::timed_out);
    CHECK(says(thrown_by([&] { hanging->wait_container("web", seconds{0}); }), "did not end"));

    ScriptedEngine cut([](const PeerRequest&) {
        return PeerReply{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"Id\"",
                         PeerReply::After::close};
    });
    CHECK(thrown_by([&] { cut->find_image("app:1"); }).kind() == ErrorKind::engine_unreachable);

    const TemporaryDirectory directory;
    const std::string socket = directory.path() + "/s";
    const auto absent = make_rest_engine(socket);
    CHECK(thrown_by([&] { absent->info(); }).kind() == ErrorKind::engine_unreachable);
    CHECK(thrown_by([&] { absent->info(); }).next() == "systemctl start docker");
}

TEST_CASE("a pull sends what identifies the image, and the credentials") {
    ScriptedEngine engine([](const PeerRequest& request) {
        return request.method == "POST"
                   ? chunked(200, {R"({"status":"Pulling","id":"l"})", "\r\n",
                                   R"({"status":"Status: Downloaded newer image"})", "\r\n"})
                   : reply(200, image_document);
    });
    SilentProgress progress;
    std::string asked;
    const std::string digest = "sha256:" + std::string(64, 'a');
    engine->pull_image(ImageReference("quay.io/a/app:1@" + digest), {"c2VjcmV0"}, progress);
    CHECK(engine.last().path == "/v1.41/images/quay.io/a/app@" + digest + "/json");
    engine->pull_image(ImageReference("debian"), {}, progress);
    CHECK(engine.last().path == "/v1.41/images/debian:latest/json");
}

TEST_CASE("an error inside the stream of a pull is an error") {
    const auto kind_of = [](const std::string& message) {
        ScriptedEngine engine([&](const PeerRequest&) {
            return chunked(200, {R"({"status":"Pulling fs layer","id":"a"})"
                                 "\r\n{\"errorDetail\":{\"message\":\"" +
                                     message.substr(0, 5),
                                 message.substr(5) + "\"},\"error\":\"" + message + "\"}\r\n"});
        });
        const Error error = pull(engine);
        CHECK(says(error, "cannot pull 'quay.io/a/app:1': " + message));
        return error.kind();
    };
    CHECK(kind_of("manifest unknown") == ErrorKind::image_not_found);
    CHECK(kind_of("unauthorized: access") == ErrorKind::registry_denied);
    CHECK(kind_of("write /var: no space left on device") == ErrorKind::engine_refused);
}

TEST_CASE("a pull that stops without being complete is an error") {
    ScriptedEngine orderly([](const PeerRequest&) {
        return chunked(200, {"{\"status\":\"Downloading\",\"id\":\"a\"}\r\n"});
    });
    CHECK(says(pull(orderly), "ended before the image was complete"));
    ScriptedEngine cut([](const PeerRequest&) {
        return chunked(200, {"{\"status\":\"Downloading\",\"id\":\"a\"}\r\n"}, false);
    });
    CHECK(pull(cut).kind() == ErrorKind::engine_unreachable);
    ScriptedEngine garbage([](const PeerRequest&) { return reply(200, "<html>\n"); });
    CHECK(pull(garbage).kind() == ErrorKind::engine_refused);
    ScriptedEngine hanging([](const PeerRequest&) {
        PeerReply answer = chunked(200, {"{\"status\":\"Downloading\"}\r\n"}, false);
        answer.after = PeerReply::After::hang;
        return answer;
    });
    CHECK(pull(hanging).kind() == ErrorKind::timed_out);
    ScriptedEngine lying([](const PeerRequest& request) {
        return request.method == "POST" ? reply(200, "{\"status\":\"Status: Downloaded\"}\n")
                                        : reply(404, R"({"message":"no such image"})");
    });
    CHECK(says(pull(lying), "lacks the image"));
}

TEST_CASE("words about a failed pull are understood, and the image's name is none of them") {
    const auto kind_of = [](const char* reference, const char* words) {
        return pull_error(ImageReference(reference), words, false).kind();
    };
    CHECK(kind_of("a/b", "manifest for a/b:latest not found: manifest unknown: manifest unknown") ==
          ErrorKind::image_not_found);
    CHECK(kind_of("a/b",
                  "pull access denied for a/b, repository does not exist or may require 'docker "
                  "login': denied: requested access to the resource is denied") ==
          ErrorKind::registry_denied);
    CHECK(kind_of("r.io/a/b", "Head \"https://r.io/v2/a/b/manifests/latest\": unauthorized: x") ==
          ErrorKind::registry_denied);
    CHECK(kind_of("r.io/a/b", "Get \"https://r.io/v2/\": no basic auth credentials") ==
          ErrorKind::registry_denied);
    for (const char* words :
         {"Get \"https://r.io/v2/\": dial tcp 10.0.0.1:443: connect: connection refused",
          "dial tcp: lookup r.io on 10.0.0.1:53: no such host", "net/http: TLS handshake timeout",
          "context deadline exceeded", "x509: certificate signed by unknown authority",
          "http: server gave HTTP response to HTTPS client",
          "toomanyrequests: You have reached your pull rate limit",
          "received unexpected HTTP status: 503 Service Unavailable"}) {
        CAPTURE(words);
        CHECK(kind_of("r.io/a/b", words) == ErrorKind::registry_unreachable);
    }
    CHECK(kind_of("r.io/denied/timeout:unauthorized",
                  "manifest for r.io/denied/timeout:unauthorized not found") ==
          ErrorKind::image_not_found);
    CHECK(kind_of("a/b", "something else") == ErrorKind::engine_refused);
}

TEST_CASE("a failed pull says what to type") {
    const auto told = [](const char* reference, const char* words, bool with_credentials = false) {
        return pull_error(ImageReference(reference), words, with_credentials);
    };
    CHECK(told("r.io/app", "denied").next() == "docker login r.io");
    CHECK(told("app", "denied").next() == "docker login");
    CHECK(told("r.io/app", "unauthorized", true).next() == "docker login r.io");
    CHECK(told("r.io/app", "403 Forbidden", true).next() == "docker login --username ANOTHER r.io");
    CHECK(says(told("r.io/app", "unauthorized"), "there are no credentials for 'r.io'"));
    CHECK(told("r.io/app", "manifest unknown", true).next() == "docker push r.io/app");
    CHECK(told("r.io/app", "toomanyrequests: slow down").next() ==
          "sleep 60; drunner registry test r.io/app");
    CHECK(told("app", "toomanyrequests: slow down").next() == "docker login");
    CHECK(told("r.io:5/app", "x509: certificate signed by unknown authority").next() ==
          "install -D -m 644 CA.crt /etc/docker/certs.d/r.io:5/ca.crt");
    CHECK(told("r.io/app", "x509: certificate has expired or is not yet valid").next() ==
          "openssl s_client -connect r.io:443 </dev/null | openssl x509 -noout -text");
    CHECK(told("r.io/app", "http: server gave HTTP response to HTTPS client").next() ==
          "name 'r.io' in insecure-registries of /etc/docker/daemon.json; "
          "systemctl restart docker");
    CHECK(told("r.io/app", "error parsing HTTP 429 response body: unexpected end").next() ==
          "sleep 60; drunner registry test r.io/app");
    CHECK(told("r.io/app", "dial tcp: connection refused").next() == "curl -i https://r.io/v2/");
    CHECK(told("r.io/app", "something else").next().empty());
}

TEST_CASE("the digest can be asked for through an engine that has the endpoint") {
    const ImageReference reference("quay.io/a/app:1");
    ScriptedEngine engine(
        [](const PeerRequest&) { return reply(200, R"({"Descriptor":{"digest":"sha256:12"}})"); });
    CHECK(engine->distribution_digest(reference, {"YXV0aA=="}) == "sha256:12");
    CHECK(engine.last().path == "/v1.41/distribution/quay.io/a/app:1/json");
    CHECK(engine.last().headers.at("x-registry-auth") == "YXV0aA==");
    for (const char* body :
         {"Not Found\n", R"({"message":"page not found"})",
          R"({"cause":"","message":"Path /v1.41/distribution/a/json is not supported"})"}) {
        ScriptedEngine lacking([&](const PeerRequest&) { return reply(404, body); });
        CHECK_FALSE(lacking->distribution_digest(reference, {}));
    }
    ScriptedEngine refusing(
        [](const PeerRequest&) { return reply(404, R"({"message":"manifest unknown"})"); });
    CHECK(thrown_by([&] { refusing->distribution_digest(reference, {}); }).kind() ==
          ErrorKind::image_not_found);
}

TEST_CASE("a log's frames are parted wherever the stream is cut") {
    const std::string log = std::string("\x01\0\0\0\0\0\0\x04out\n", 12) +
                            std::string(
                                "\x02\0\0\0\0\0\0\x04"
                                "err\n",
                                12) +
                            std::string("\x01\0\0\0\0\0\0\0", 8) +
                            std::string(
                                "\x01\0\0\0\0\0\0\x02"
                                "o\n",
                                10);
    const auto read = [](const std::vector<std::string>& chunks, bool tty, std::string& out,
                         std::string& err) {
        ScriptedEngine engine([&](const PeerRequest& request) {
            return request.path.find("/logs") != std::string::npos
                       ? chunked(200, chunks)
                       : reply(200, std::string(R"({"Id":"i","Name":"/web","Config":{"Tty":)") +
                                        (tty ? "true" : "false") + "}}");
        });
        engine->read_logs(
            "web", 5, [&](Bytes bytes) { out += as_text(bytes); },
            [&](Bytes bytes) { err += as_text(bytes); });
        CHECK(engine.last().path.find("tail=5") != std::string::npos);
    };
    for (std::size_t cut = 1; cut < log.size(); ++cut) {
        std::string out;
        std::string err;
        read({log.substr(0, cut), log.substr(cut)}, false, out, err);
        CHECK(out == "out\no\n");
        CHECK(err == "err\n");
    }
    std::string out;
    std::string err;
    read({"raw\r\n"}, true, out, err);
    CHECK(out == "raw\r\n");
    CHECK_THROWS_AS(read({log.substr(0, log.size() - 1)}, false, out, err), Error);
}

TEST_CASE("an archive that ends early is an error though the answer is whole") {
    const std::string tar = packed({{"f", {std::string(2000, 'x')}}});
    const auto read = [](const std::string& body) {
        ScriptedEngine engine([&](const PeerRequest&) { return reply(200, body); });
        std::string received;
        engine->read_archive("web", "/f", [&](Bytes bytes) { received += as_text(bytes); });
        return received;
    };
    CHECK(read(tar) == tar);
    CHECK_THROWS_AS(read(tar.substr(0, 1024)), Error);
    CHECK_THROWS_AS(read(tar.substr(0, tar.size() - 100)), Error);
    CHECK_THROWS_AS(read(tar.substr(0, 1024) + R"({"message":"read error"})"), Error);
    CHECK_THROWS_AS(read(""), Error);
}

TEST_CASE("a removal that goes on already is waited for") {
    int looked = 0;
    ScriptedEngine engine([&](const PeerRequest& request) {
        if (request.method == "DELETE") {
            return reply(409, R"({"message":"removal of container web is already in progress"})");
        }
        return ++looked < 3 ? reply(200, R"({"Id":"0123456789abcdef","Name":"/web"})")
                            : reply(404, "{}");
    });
    CHECK(engine->remove_container("web"));
    CHECK(looked == 3);
}

TEST_CASE("a beginning of an id is nobody's name") {
    ScriptedEngine engine([](const PeerRequest&) {
        return reply(200, R"({"Id":"cafe456789abcdef","Name":"/other","RepoTags":["x:1"]})");
    });
    CHECK_FALSE(engine->find_container("cafe"));
    CHECK_FALSE(engine->remove_container("cafe"));
    CHECK_FALSE(engine->find_image("cafe"));
    CHECK_FALSE(engine->remove_image("cafe"));
    CHECK(thrown_by([&] { engine->stop_container("cafe", seconds{1}); }).kind() ==
          ErrorKind::engine_not_found);
    CHECK(engine->find_container("cafe456789ab"));
    ScriptedEngine podman([](const PeerRequest&) { return reply(200, R"({"Name":"data-more"})"); });
    CHECK_FALSE(podman->find_volume("data"));
    CHECK_FALSE(podman->remove_volume("data"));
    CHECK(podman.last().method == "GET");
}

TEST_CASE("a confined container is allowed nothing") {
    ContainerSpec spec;
    spec.image = "app:1";
    spec.confined = true;
    spec.mounts = {{"data", "/d", false}, {"more", "/m", true}};
    const auto host = nlohmann::json::parse(container_body(spec)).at("HostConfig");
    CHECK(host.at("NetworkMode") == "none");
    CHECK(host.at("ReadonlyRootfs") == true);
    CHECK(host.at("CapDrop") == std::vector<std::string>{"ALL"});
    CHECK(host.at("SecurityOpt") == std::vector<std::string>{"no-new-privileges"});
    CHECK(host.at("Memory") == 128 << 20);
    CHECK(host.at("PidsLimit") == 64);
    CHECK(host.at("LogConfig").at("Type") == "json-file");
    CHECK(host.at("Mounts").at(0).at("VolumeOptions").at("NoCopy") == true);
    CHECK(host.at("Mounts").at(1).at("VolumeOptions").at("NoCopy") == false);
    spec.confined = false;
    CHECK_FALSE(nlohmann::json::parse(container_body(spec)).at("HostConfig").contains("CapDrop"));
}
