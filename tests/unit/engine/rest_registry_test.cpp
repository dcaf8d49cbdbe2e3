#include "engine/rest_registry.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "engine/credential_source.hpp"
#include "engine/credentials.hpp"
#include "fakes/fake_engine.hpp"
#include "fakes/scripted_peer.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using namespace drunner::test;
using std::chrono::milliseconds;
using Verdict = ManifestAnswer::Verdict;

namespace {

const std::string digest = "sha256:" + std::string(64, 'b');

PeerReply manifest() {
    return {
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nDocker-Content-Digest: " + digest + "\r\n\r\n",
        PeerReply::After::keep};
}

PeerReply refusal(int status, const std::string& header = "X-None: 1") {
    return {
        "HTTP/1.1 " + std::to_string(status) + " No\r\nContent-Length: 0\r\n" + header + "\r\n\r\n",
        PeerReply::After::keep};
}

// A registry on loopback, a client of it, and an engine that is asked only where it must be.
struct World {
    explicit World(ScriptedPeer::Script script)
        : peer("", std::move(script)), engine(directory.path()) {}

    void log_in(const std::string& entry) const {
        std::ofstream(directory.path() + "/config.json")
            << R"({"auths":{")" << peer.address() << R"(":)" << entry << "}}";
    }
    Registry& client() {
        if (!registry) {
            RegistryLimits limits;
            limits.connect = milliseconds{1000};
            limits.answer = milliseconds{1000};
            limits.backoff = milliseconds{1};
            limits.certificates = directory.path() + "/certs.d";
            registry = make_rest_registry(engine, directory.path(), limits);
        }
        return *registry;
    }
    ImageReference reference(const std::string& rest = "team/app:1") const {
        return ImageReference(peer.address() + "/" + rest);
    }
    ManifestAnswer resolve(const std::string& rest = "team/app:1") {
        return client().resolve(reference(rest));
    }

    TemporaryDirectory directory;
    ScriptedPeer peer;
    FakeEngine engine;
    std::unique_ptr<Registry> registry;
};

std::string challenge_of(const PeerRequest& request) {
    return "WWW-Authenticate: Bearer realm=\"http://" + request.headers.at("host") +
           "/token?x=1\",service=\"the, service\",scope=\"ignored\"";
}

const std::string basic = R"({"auth":")" + base64_encoded("me:secret") + "\"}";

}  // namespace

TEST_CASE("one HEAD answers the digest, and each reference is asked for once") {
    World world([](const PeerRequest&) { return manifest(); });
    const ManifestAnswer answer = world.resolve();
    CHECK(answer.verdict == Verdict::found);
    CHECK(answer.digest == digest);
    CHECK(answer.message.empty());
    world.resolve();
    REQUIRE(world.peer.requests().size() == 1);
    const PeerRequest request = world.peer.requests().front();
    CHECK(request.method == "HEAD");
    CHECK(request.path == "/v2/team/app/manifests/1");
    for (const char* type :
         {"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
          "application/vnd.docker.distribution.manifest.list.v2+json",
          "application/vnd.docker.distribution.manifest.v2+json"}) {
        CHECK(request.headers.at("accept").find(type) != std::string::npos);
    }
    CHECK_FALSE(request.headers.contains("authorization"));
    CHECK(world.resolve("team/app:2").verdict == Verdict::found);
    CHECK(world.peer.requests().back().connection == 1);
    CHECK(world.engine.calls().empty());
}

namespace {

PeerReply document(const std::string& body) {
    return {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\nDocker-Content-Digest: " + digest + "\r\n\r\n" + body,
            PeerReply::After::keep};
}

const std::string config_digest = "sha256:" + std::string(64, 'd');
const std::string platform_digest = "sha256:" + std::string(64, 'e');
const std::string one_manifest = R"({"config":{"digest":")" + config_digest + R"("}})";
const std::string index_of_two =
    R"({"manifests":[{"digest":"sha256:)" + std::string(64, 'f') +
    R"(","platform":{"os":"linux","architecture":"arm64"}},{"digest":")" + platform_digest +
    R"(","platform":{"os":"linux","architecture":"amd64"}}]})";
const std::string configuration =
    R"({"os":"linux","architecture":"amd64","config":{"User":"4242","Env":["A=b"],)"
    R"("Cmd":["run"],"Volumes":{"/data":{}},"Labels":{"x":"y"}}})";

PeerReply registry_with(const PeerRequest& request, const std::string& manifest_of_tag) {
    if (request.path == "/v2/team/app/manifests/1") {
        return document(manifest_of_tag);
    }
    if (request.path == "/v2/team/app/manifests/" + platform_digest) {
        return document(one_manifest);
    }
    return request.path == "/v2/team/app/blobs/" + config_digest ? document(configuration)
                                                                 : refusal(404);
}

}  // namespace

TEST_CASE("an image is described without its layers, of an index that of the engine's platform") {
    for (const std::string& manifest_of_tag : {one_manifest, index_of_two}) {
        World world(
            [&](const PeerRequest& request) { return registry_with(request, manifest_of_tag); });
        world.engine.engine_info.architecture = "x86_64";
        const Image image = world.client().describe(world.reference());
        CHECK(image.id == config_digest);
        CHECK(image.digests ==
              std::vector<std::string>{world.peer.address() + "/team/app@" + digest});
        CHECK(image.user == "4242");
        CHECK(image.environment == std::vector<std::string>{"A=b"});
        CHECK(image.volumes == std::vector<std::string>{"/data"});
        CHECK(image.os == "linux");
        CHECK(image.architecture == "amd64");
        for (const PeerRequest& request : world.peer.requests()) {
            CHECK(request.method == "GET");
        }
    }
}

TEST_CASE("what cannot be described says why as a pull does") {
    const auto kind_of = [](const ScriptedPeer::Script& script) {
        World world(script);
        world.engine.engine_info.architecture = "riscv64";
        try {
            world.client().describe(world.reference());
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::system;
    };
    CHECK(kind_of([](const PeerRequest&) { return refusal(404); }) == ErrorKind::image_not_found);
    CHECK(kind_of([](const PeerRequest&) { return refusal(403); }) == ErrorKind::registry_denied);
    CHECK(kind_of([](const PeerRequest&) { return refusal(503); }) ==
          ErrorKind::registry_unreachable);
    CHECK(kind_of([](const PeerRequest&) { return document("no JSON"); }) ==
          ErrorKind::registry_unreachable);
    CHECK(kind_of([](const PeerRequest& request) {
              return registry_with(request, index_of_two);
          }) == ErrorKind::image_not_found);
}

TEST_CASE("a reference with a digest needs no registry") {
    World world([](const PeerRequest&) { return manifest(); });
    const std::string other = "sha256:" + std::string(64, 'c');
    const ManifestAnswer answer = world.resolve("team/app:1@" + other);
    CHECK(answer.verdict == Verdict::found);
    CHECK(answer.digest == other);
    CHECK(world.peer.requests().empty());
}

namespace {

Error refused_by(World& world) {
    try {
        world.client().describe(world.reference());
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error(ErrorKind::system, "");
}

}  // namespace

TEST_CASE("where credentials come from is told") {
    World world([](const PeerRequest&) { return manifest(); });
    auto& known = dynamic_cast<CredentialSource&>(world.client());
    CHECK(known.source_of(world.reference()).empty());
    world.log_in(basic);
    world.registry.reset();
    auto& anew = dynamic_cast<CredentialSource&>(world.client());
    CHECK(anew.source_of(world.reference()) ==
          "auths in '" + world.directory.path() + "/config.json'");
}

TEST_CASE("each refusal is told apart, with whose credentials it met and what to type") {
    struct Row {
        int status;
        const char* header;
        bool logged_in;
        const char* message;
        const char* next;  // R is the reference, D its domain
    };
    for (const Row& row :
         {Row{401, "WWW-Authenticate: Basic realm=x", false, "wants credentials", "docker login D"},
          Row{401, "WWW-Authenticate: Basic realm=x", true,
              "does not accept the credentials from auths in", "docker login D"},
          Row{403, "X-None: 1", true, "does not let the account of auths in",
              "docker login --username ANOTHER D"},
          Row{403, "X-None: 1", false, "wants credentials", "docker login D"},
          Row{404, "X-None: 1", true, "does not have it", "docker push R"},
          Row{404, "X-None: 1", false, "does not have it", "docker login D"},
          Row{429, "X-None: 1", false, "too many requests", "sleep 60; drunner registry test R"},
          Row{429, "Retry-After: 100", true, "come back in 100 s",
              "sleep 100; drunner registry test R"},
          Row{418, "X-None: 1", false, "HTTP status 418", "curl -i https://D/v2/"}}) {
        CAPTURE(row.status);
        CAPTURE(row.logged_in);
        World world([&](const PeerRequest&) { return refusal(row.status, row.header); });
        if (row.logged_in) {
            world.log_in(basic);
        }
        CHECK(world.resolve().message.find(row.message) != std::string::npos);
        const Error error = refused_by(world);
        const std::string message = error.what();
        CHECK(message.find(row.message) != std::string::npos);
        CHECK(message.find("secret") == std::string::npos);
        std::string next = row.next;
        if (next.ends_with(" R")) {
            next.replace(next.size() - 1, 1, world.reference().text());
        } else if (const std::size_t domain = next.rfind('D'); domain != std::string::npos) {
            next.replace(domain, 1, world.peer.address());
        }
        CHECK(error.next() == next);
    }
}

TEST_CASE("what a registry answers is a verdict") {
    struct Row {
        int status;
        Verdict verdict;
        std::size_t requests;
    };
    for (const Row& row : {Row{404, Verdict::not_found, 1}, Row{401, Verdict::denied, 1},
                           Row{403, Verdict::denied, 1}, Row{400, Verdict::unreachable, 1},
                           Row{500, Verdict::unreachable, 3}, Row{503, Verdict::unreachable, 3},
                           Row{429, Verdict::unreachable, 3}, Row{418, Verdict::unreachable, 1}}) {
        CAPTURE(row.status);
        World world([&](const PeerRequest&) { return refusal(row.status); });
        const ManifestAnswer answer = world.resolve();
        CHECK(answer.verdict == row.verdict);
        CHECK(answer.message.find("team/app:1") != std::string::npos);
        if (row.status != 400) {
            CHECK(world.peer.requests().size() == row.requests);
            CHECK(world.engine.calls().empty());
        }
    }
}

TEST_CASE("an answer without a usable digest is none") {
    for (const char* header : {"X-None: 1", "Docker-Content-Digest: sha256:12"}) {
        World world([&](const PeerRequest&) { return refusal(200, header); });
        CHECK(world.resolve().verdict == Verdict::unreachable);
    }
}

TEST_CASE("a busy registry is asked again as it says") {
    for (const char* header : {"Retry-After: 0", "X-None: 1"}) {
        int asked = 0;
        World world([&](const PeerRequest&) {
            return ++asked < 3 ? refusal(asked == 1 ? 429 : 503, header) : manifest();
        });
        CHECK(world.resolve().verdict == Verdict::found);
        CHECK(asked == 3);
    }
    World patient([](const PeerRequest&) { return refusal(429, "Retry-After: 3600"); });
    const ManifestAnswer answer = patient.resolve();
    CHECK(answer.verdict == Verdict::unreachable);
    CHECK(answer.message.find("3600 s") != std::string::npos);
    CHECK(patient.peer.requests().size() == 1);
}

TEST_CASE("a token is fetched once for each repository, anonymously where nobody logged in") {
    World world([](const PeerRequest& request) {
        if (request.path.starts_with("/token")) {
            return reply(200, R"({"token":"abc"})");
        }
        const auto proof = request.headers.find("authorization");
        return proof != request.headers.end() && proof->second == "Bearer abc"
                   ? manifest()
                   : refusal(401, challenge_of(request));
    });
    CHECK(world.resolve("team/app:1").verdict == Verdict::found);
    REQUIRE(world.peer.requests().size() == 3);
    CHECK(world.peer.requests().at(1).path ==
          "/token?x=1&scope=repository%3Ateam%2Fapp%3Apull&service=the%2C%20service");
    CHECK_FALSE(world.peer.requests().at(1).headers.contains("authorization"));
    CHECK(world.resolve("team/app:2").verdict == Verdict::found);
    CHECK(world.peer.requests().size() == 4);
    CHECK(world.resolve("team/other:1").verdict == Verdict::found);
    CHECK(world.peer.requests().size() == 6);
}

TEST_CASE("a password is shown to the token service and not to the registry") {
    World world([](const PeerRequest& request) {
        if (request.path.starts_with("/token")) {
            return request.headers.at("authorization") == "Basic " + base64_encoded("me:secret")
                       ? reply(200, R"({"access_token":"abc"})")
                       : refusal(401);
        }
        return request.headers.contains("authorization") ? manifest()
                                                         : refusal(401, challenge_of(request));
    });
    world.log_in(basic);
    CHECK(world.resolve().verdict == Verdict::found);
    CHECK(world.peer.requests().back().headers.at("authorization") == "Bearer abc");
    CHECK(world.peer.requests().at(1).path.find("account=me") != std::string::npos);
}

TEST_CASE("an identity token is exchanged in a body") {
    World world([](const PeerRequest& request) {
        if (request.path.starts_with("/token")) {
            return reply(200, R"({"access_token":"abc"})");
        }
        return request.headers.contains("authorization") ? manifest()
                                                         : refusal(401, challenge_of(request));
    });
    world.log_in(R"({"identitytoken":"i&d"})");
    CHECK(world.resolve().verdict == Verdict::found);
    const PeerRequest exchange = world.peer.requests().at(1);
    CHECK(exchange.method == "POST");
    CHECK(exchange.path == "/token?x=1");
    CHECK(exchange.body.find("grant_type=refresh_token") != std::string::npos);
    CHECK(exchange.body.find("refresh_token=i%26d") != std::string::npos);
}

TEST_CASE("a registry that wants a password gets it, at once from the second time on") {
    World world([](const PeerRequest& request) {
        const auto proof = request.headers.find("authorization");
        return proof != request.headers.end() &&
                       proof->second == "Basic " + base64_encoded("me:secret")
                   ? manifest()
                   : refusal(401, "WWW-Authenticate: Basic realm=x");
    });
    world.log_in(basic);
    CHECK(world.resolve("team/app:1").verdict == Verdict::found);
    CHECK(world.resolve("team/app:2").verdict == Verdict::found);
    CHECK(world.peer.requests().size() == 3);
    CHECK(base64_decoded(world.client().credentials(world.reference()).header).find("secret") !=
          std::string::npos);
}

TEST_CASE("wrong credentials are denied and never shown") {
    const auto answer_with = [](int token_status, const std::string& token) {
        World world([&](const PeerRequest& request) {
            return request.path.starts_with("/token") ? reply(token_status, token)
                                                      : refusal(401, challenge_of(request));
        });
        world.log_in(basic);
        const ManifestAnswer answer = world.resolve();
        CHECK(answer.message.find("secret") == std::string::npos);
        CHECK(answer.message.find(base64_encoded("me:secret")) == std::string::npos);
        CHECK(answer.message.find("abc") == std::string::npos);
        return answer.verdict;
    };
    CHECK(answer_with(401, "") == Verdict::denied);
    CHECK(answer_with(403, "") == Verdict::denied);
    CHECK(answer_with(200, R"({"token":"abc"})") == Verdict::denied);
    CHECK(answer_with(200, R"({"token":"a\nX: abc"})") == Verdict::denied);
    CHECK(answer_with(200, "{}") == Verdict::unreachable);
    CHECK(answer_with(200, "garbage") == Verdict::unreachable);
    CHECK(answer_with(500, "") == Verdict::unreachable);
}

TEST_CASE("challenges that cannot be met are denied") {
    for (const char* header :
         {"X-None: 1", "WWW-Authenticate: Negotiate", "WWW-Authenticate: Bearer",
          "WWW-Authenticate: Bearer realm=", "WWW-Authenticate: Bearer realm=\"/token\"",
          "WWW-Authenticate: Bearer realm=\"file:///etc/passwd\"",
          "WWW-Authenticate: Bearer realm=\"http://me@x/\"", "WWW-Authenticate: Basic realm=\"x"}) {
        CAPTURE(header);
        World world([&](const PeerRequest&) { return refusal(401, header); });
        CHECK(world.resolve().verdict == Verdict::denied);
    }
}

TEST_CASE("unusable credentials are an answer when resolving and an error when pulling") {
    World world([](const PeerRequest&) { return refusal(401, "WWW-Authenticate: Basic realm=x"); });
    std::ofstream(world.directory.path() + "/config.json") << "not JSON";
    CHECK(world.resolve().verdict == Verdict::denied);
    CHECK_THROWS_AS(world.client().credentials(world.reference()), Error);
}

TEST_CASE("an expired token is replaced") {
    std::atomic<int> tokens = 0;
    World world([&](const PeerRequest& request) {
        if (request.path.starts_with("/token")) {
            return reply(200, R"({"token":"t)" + std::to_string(++tokens) + "\"}");
        }
        const auto proof = request.headers.find("authorization");
        const std::string valid = request.path.ends_with("/1") ? "Bearer t1" : "Bearer t2";
        return proof != request.headers.end() && proof->second == valid
                   ? manifest()
                   : refusal(401, challenge_of(request));
    });
    CHECK(world.resolve("team/app:1").verdict == Verdict::found);
    CHECK(world.resolve("team/app:2").verdict == Verdict::found);
    CHECK(tokens == 2);
}

TEST_CASE("many threads use at most two connections and ask once for each reference") {
    World world([](const PeerRequest&) {
        std::this_thread::sleep_for(milliseconds{2});
        return manifest();
    });
    world.client();
    std::vector<std::thread> threads;
    std::atomic<int> found = 0;
    for (int i = 0; i < 12; ++i) {
        threads.emplace_back([&, i] {
            const auto answer = world.resolve("team/app:" + std::to_string(i % 6));
            found += answer.verdict == Verdict::found ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(found == 12);
    CHECK(world.peer.requests().size() == 6);
    CHECK(world.peer.most_connections() <= 2);
}

TEST_CASE("the engine is asked only where the registry does not answer at all") {
    FakeRegistry behind_engine;
    const TemporaryDirectory directory;
    FakeEngine engine(directory.path(), &behind_engine);
    const auto registry = make_rest_registry(engine, directory.path());
    const std::string published = behind_engine.publish("127.0.0.1:1/app:1", {});
    const ManifestAnswer found = registry->resolve(ImageReference("127.0.0.1:1/app:1"));
    CHECK(found.verdict == Verdict::found);
    CHECK(found.digest == published);
    const ManifestAnswer absent = registry->resolve(ImageReference("127.0.0.1:1/app:2"));
    CHECK(absent.verdict == Verdict::unreachable);
    CHECK(absent.message.find("cannot reach registry '127.0.0.1:1'") != std::string::npos);
}

TEST_CASE("plain HTTP is for loopback and what the engine calls insecure") {
    // 0.0.0.0 leads to this host too, and is not loopback by its name.
    std::atomic<int> asked = 0;
    ScriptedPeer peer("", [&](const PeerRequest&) {
        ++asked;
        return manifest();
    });
    const std::string port = peer.address().substr(peer.address().find(':'));
    const TemporaryDirectory directory;
    const auto resolve = [&](const std::vector<std::string>& insecure) {
        FakeEngine engine(directory.path());
        engine.engine_info.insecure_registries = insecure;
        return make_rest_registry(engine, directory.path())
            ->resolve(ImageReference("0.0.0.0" + port + "/app:1"))
            .verdict;
    };
    CHECK(resolve({}) == Verdict::unreachable);
    CHECK(resolve({"10.0.0.0/8", "0.0.0.1/32", "0.0.0.0/x", "other" + port}) ==
          Verdict::unreachable);
    CHECK(asked == 0);
    CHECK(resolve({"0.0.0.0/31"}) == Verdict::found);
    CHECK(resolve({"0.0.0.0" + port}) == Verdict::found);
    CHECK(asked == 2);
}
