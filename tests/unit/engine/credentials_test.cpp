#include "engine/credentials.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using drunner::test::TemporaryDirectory;

namespace {

// A docker configuration and a directory of credential helpers that is first on PATH.
class DockerConfig {
  public:
    explicit DockerConfig(const std::string& config)
        : old_path_(getenv("PATH") == nullptr ? "" : getenv("PATH")) {
        write("config.json", config);
        setenv("PATH", (directory_.path() + ":" + old_path_).c_str(), 1);
    }
    ~DockerConfig() { setenv("PATH", old_path_.c_str(), 1); }
    DockerConfig(const DockerConfig&) = delete;
    DockerConfig& operator=(const DockerConfig&) = delete;

    void write(const std::string& name, const std::string& content) const {
        std::ofstream(path(name)) << content;
        chmod(path(name).c_str(), 0755);
    }
    // A helper that records its arguments and what it was asked, and then does `script`.
    void add_helper(const std::string& name, const std::string& script) const {
        write("docker-credential-" + name, "#!/bin/sh\necho \"$@\" >> " + path("arguments") +
                                               "\nread -r address\necho \"$address\" >> " +
                                               path("asked") + "\n" + script + "\n");
    }
    std::string read(const std::string& name) const {
        std::ifstream stream(path(name));
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }
    std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
    CredentialStore store() const { return CredentialStore(directory_.path()); }
    const std::string& directory() const { return directory_.path(); }

  private:
    TemporaryDirectory directory_;
    std::string old_path_;
};

std::string found(const DockerConfig& config, const std::string& domain) {
    CredentialStore store(config.directory());
    const Credentials credentials = store.find(domain);
    if (!credentials.identity_token.empty()) {
        return "identity " + std::string(credentials.identity_token.reveal());
    }
    if (!credentials.registry_token.empty()) {
        return "registry " + std::string(credentials.registry_token.reveal());
    }
    return credentials.empty()
               ? "none"
               : credentials.username + ":" + std::string(credentials.password.reveal());
}

Error thrown_for(const DockerConfig& config, const std::string& domain,
                 std::chrono::milliseconds limit = std::chrono::seconds{30}) {
    try {
        CredentialStore store(config.directory(), limit);
        store.find(domain);
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return Error(ErrorKind::system, "");
}

const std::string pair = base64_encoded("me:pass:word");

}  // namespace

TEST_CASE("base64 is that of RFC 4648") {
    CHECK(base64_encoded("") == "");
    CHECK(base64_encoded("f") == "Zg==");
    CHECK(base64_encoded("fo") == "Zm8=");
    CHECK(base64_encoded("foo") == "Zm9v");
    CHECK(base64_encoded("foobar") == "Zm9vYmFy");
    CHECK(base64_encoded("\xff\xfe\xfd") == "//79");
    CHECK(base64_encoded("\xff\xfe\xfd", true) == "__79");
    for (const char* text : {"", "f", "fo", "foo", "foob", "\xff\xfe"}) {
        CHECK(base64_decoded(base64_encoded(text)) == text);
        CHECK(base64_decoded(base64_encoded(text, true)) == text);
    }
    CHECK(base64_decoded("Zg") == "f");
    CHECK_THROWS_AS(base64_decoded("Z?=="), Error);
}

TEST_CASE("entries of auths are found by every spelling of their registry") {
    CHECK(found(DockerConfig("{}"), "docker.io") == "none");
    for (const char* key : {"https://index.docker.io/v1/", "index.docker.io", "docker.io",
                            "registry-1.docker.io", "https://registry-1.docker.io/v2/"}) {
        CAPTURE(key);
        const DockerConfig config(R"({"auths":{")" + std::string(key) + R"(":{"auth":")" + pair +
                                  "\"}}}");
        CHECK(found(config, "docker.io") == "me:pass:word");
        CHECK(found(config, "quay.io") == "none");
    }
    for (const char* key : {"host:5000", "https://host:5000", "http://host:5000/v2/"}) {
        CAPTURE(key);
        const DockerConfig config(R"({"auths":{")" + std::string(key) + R"(":{"auth":")" + pair +
                                  "\"}}}");
        CHECK(found(config, "host:5000") == "me:pass:word");
        CHECK(found(config, "host") == "none");
    }
}

TEST_CASE("entries of auths hold pairs or tokens") {
    CHECK(found(DockerConfig(R"({"auths":{"r":{"username":"a","password":"b"}}})"), "r") == "a:b");
    CHECK(found(DockerConfig(R"({"auths":{"r":{"auth":")" + pair + R"(","identitytoken":"t"}}})"),
                "r") == "identity t");
    CHECK(found(DockerConfig(R"({"auths":{"r":{"registrytoken":"t"}}})"), "r") == "registry t");
    CHECK(found(DockerConfig(R"({"auths":{"r":{}}})"), "r") == "none");
    CHECK(thrown_for(DockerConfig(R"({"auths":{"r":{"auth":"%"}}})"), "r").kind() ==
          ErrorKind::registry_denied);
    CHECK(thrown_for(DockerConfig("not JSON"), "r").kind() == ErrorKind::registry_denied);
    CredentialStore absent("/nonexistent");
    CHECK(absent.find("r").empty());
}

TEST_CASE("a helper is asked on its standard input, and once") {
    const DockerConfig config(R"({"credHelpers":{"host:5000":"one"},"credsStore":"two",)"
                              R"("auths":{"host:5000":{"auth":"eDp5"}}})");
    config.add_helper("one", R"(echo '{"Username":"me","Secret":"hidden"}')");
    config.add_helper("two", R"(echo '{"Username":"<token>","Secret":"identity"}')");
    CredentialStore store = config.store();
    CHECK(store.find("host:5000").username == "me");
    CHECK(store.find("host:5000").password.reveal() == "hidden");
    CHECK(config.read("arguments") == "get\n");
    CHECK(config.read("asked") == "host:5000\n");
    CHECK(store.find("docker.io").identity_token.reveal() == "identity");
    CHECK(config.read("asked") == "host:5000\nhttps://index.docker.io/v1/\n");
    CHECK(config.read("arguments") == "get\nget\n");
}

TEST_CASE("where a helper knows nothing, auths may") {
    const DockerConfig config(R"({"credsStore":"empty","auths":{"r":{"auth":")" + pair + "\"}}}");
    config.add_helper("empty", "echo credentials not found in native keychain; exit 1");
    CHECK(found(config, "r") == "me:pass:word");
    CHECK(found(config, "other") == "none");
}

TEST_CASE("a helper that fails is named, and nothing that it wrote is shown") {
    const DockerConfig config(R"({"credHelpers":{"a":"bad","b":"gone","c":"../evil","d":"loud"}})");
    config.add_helper("bad", "echo hidden; echo hidden >&2; exit 7");
    config.add_helper("loud", "echo hidden");
    for (const char* domain : {"a", "b", "c", "d"}) {
        CAPTURE(domain);
        const Error error = thrown_for(config, domain);
        CHECK(error.kind() == ErrorKind::registry_denied);
        CHECK(std::string(error.what()).find("docker-credential-") != std::string::npos);
        CHECK(std::string(error.what()).find("hidden") == std::string::npos);
    }
}

TEST_CASE("credentials tell where they come from, and errors what to type") {
    const auto source_of = [](const DockerConfig& config) {
        CredentialStore store = config.store();
        return store.find("r").source;
    };
    DockerConfig helped(R"({"credHelpers":{"r":"one"},"credsStore":"two"})");
    helped.add_helper("one", R"(echo '{"Username":"me","Secret":"hidden"}')");
    const std::string file = "'" + helped.directory() + "/config.json'";
    CHECK(source_of(helped) == "docker-credential-one, credHelpers in " + file);
    CHECK(source_of(DockerConfig(R"({"auths":{"r":{"registrytoken":"t"}}})"))
              .starts_with("auths in '"));
    CHECK(source_of(DockerConfig("{}")).ends_with("/config.json'"));

    const DockerConfig broken(
        R"({"credHelpers":{"a":"gone","b":"bad"},"auths":{"c":{"auth":"%"}}})");
    broken.add_helper("bad", "exit 7");
    CHECK(thrown_for(broken, "a").next() == "command -v docker-credential-gone");
    CHECK(thrown_for(broken, "b").next() == "docker-credential-bad list");
    CHECK(thrown_for(broken, "c").next() == "docker login c");
    const DockerConfig malformed("not JSON");
    CHECK(thrown_for(malformed, "c").next() == "jq . " + malformed.directory() + "/config.json");
}

TEST_CASE("a helper that does not end is ended") {
    const DockerConfig config(R"({"credsStore":"slow"})");
    config.add_helper("slow", "sleep 600");
    CHECK(thrown_for(config, "r", std::chrono::milliseconds{100}).kind() == ErrorKind::timed_out);
}

TEST_CASE("the engine gets credentials as it wants them") {
    const auto sent = [](const Credentials& credentials, const std::string& domain) {
        return nlohmann::json::parse(base64_decoded(registry_auth(credentials, domain).header));
    };
    CHECK(registry_auth({}, "r").header.empty());
    const auto password = sent({"me", Secret("?>~"), Secret(), Secret()}, "docker.io");
    CHECK(password.at("username") == "me");
    CHECK(password.at("password") == "?>~");
    CHECK(password.at("serveraddress") == "https://index.docker.io/v1/");
    const auto token = sent({"", Secret(), Secret("t"), Secret()}, "r:1");
    CHECK(token.at("identitytoken") == "t");
    CHECK(token.at("serveraddress") == "r:1");
    CHECK_FALSE(token.contains("password"));
}
