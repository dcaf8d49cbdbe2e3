// What drunner relies on in a container engine, asked of the fake and of a real one. The real one
// is the socket in DRUNNER_CONTRACT_SOCKET with the image in DRUNNER_CONTRACT_IMAGE: bash, /drunner
// and USER 1000. DRUNNER_CONTRACT_REQUIRED=1 makes their absence a failure. DRUNNER_CONTRACT_ENGINE
// is "podman" where that is what answers: then what only Docker does is not asked for.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "engine/rest_engine.hpp"
#include "fakes/fake_engine.hpp"
#include "fakes/silent_progress.hpp"
#include "fakes/tar.hpp"
#include "fakes/temporary_directory.hpp"

using namespace drunner;
using namespace drunner::test;
using std::chrono::seconds;

namespace {

const std::string mark = "drunner.contract";
const std::vector<std::string> speaking{"/bin/bash", "-c",
                                        "echo one; echo two; echo three >&2; exit 3"};
const std::vector<std::string> lasting{"/bin/bash", "-c",
                                       "trap 'exit 0' TERM; read -t 300 <> <(:)"};

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

bool is_podman(Engine& engine) {
    return dynamic_cast<FakeEngine*>(&engine) == nullptr &&
           variable("DRUNNER_CONTRACT_ENGINE") == "podman";
}

// Podman adds what an image's name leaves out.
bool is_same_image(const std::string& one, const std::string& other) {
    return ImageReference(one).same_as(ImageReference(other));
}

// One engine, an image on it, and names that nobody else uses; what the test made goes with it.
class Subject {
  public:
    Subject(Engine& its_engine, std::string its_image)
        : engine(its_engine),
          image(std::move(its_image)),
          prefix("contract-" + std::to_string(getpid()) + "-" + std::to_string(++made)) {}
    ~Subject() {
        for (const auto& container : engine.list_containers({{mark + "=" + prefix}, "", ""})) {
            engine.remove_container(container.id);
        }
        for (const auto& volume : engine.list_volumes({{mark + "=" + prefix}, "", ""})) {
            engine.remove_volume(volume.name);
        }
    }
    Subject(const Subject&) = delete;
    Subject& operator=(const Subject&) = delete;

    std::string name(const std::string& suffix) const { return prefix + "-" + suffix; }
    Labels labels() const { return {{mark, prefix}}; }
    ContainerSpec spec(const std::string& suffix) const {
        ContainerSpec spec;
        spec.name = name(suffix);
        spec.image = image;
        spec.labels = labels();
        return spec;
    }
    std::string volume(const std::string& suffix) const {
        return engine.create_volume(name(suffix), labels()).name;
    }
    std::string read(const std::string& container, const std::string& path) const {
        std::string tar;
        engine.read_archive(container, path, [&](Bytes bytes) { tar += as_text(bytes); });
        return tar;
    }
    void write(const std::string& container, const std::string& path,
               const std::string& tar) const {
        std::size_t at = 0;
        engine.write_archive(container, path, [&](std::span<std::byte> buffer) {
            const std::size_t count = std::min(buffer.size(), tar.size() - at);
            std::memcpy(buffer.data(), tar.data() + at, count);
            at += count;
            return count;
        });
    }

    Engine& engine;
    std::string image;
    std::string prefix;

  private:
    inline static int made = 0;
};

FakeImage contract_image() {
    FakeImage image;
    image.user = "druser";
    image.files["/drunner/servicecfg.sh"] = {"VOLUMES=(/data)\n"};
    image.files["/drunner/servicerunner"] = {"#!/bin/bash\n", 0755};
    image.files["/bin/bash"] = {"", 0755};
    return image;
}

FakeProgram contract_program(const FakeContainer& container) {
    if (container.arguments == speaking) {
        return {false, 3, "one\ntwo\n", "three\n"};
    }
    return {};
}

// Runs the promise against each engine there is.
void for_each_engine(const std::function<void(Subject&)>& promise) {
    SUBCASE("fake") {
        const TemporaryDirectory directory;
        FakeEngine engine(directory.path());
        engine.run_programs_with(contract_program);
        engine.add_image("contract:1", contract_image());
        Subject subject(engine, "contract:1");
        promise(subject);
    }
    SUBCASE("real") {
        const std::string socket = variable("DRUNNER_CONTRACT_SOCKET");
        if (socket.empty()) {
            return;
        }
        static const std::unique_ptr<Engine> engine = make_rest_engine(socket);
        Subject subject(*engine, variable("DRUNNER_CONTRACT_IMAGE"));
        promise(subject);
    }
}

ErrorKind kind_thrown(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(std::string(error.what()).find('\n') == std::string::npos);
        return error.kind();
    }
    FAIL("nothing was thrown");
    return ErrorKind::system;
}

std::string log_of(Engine& engine, const std::string& container, unsigned lines, bool err) {
    std::string out;
    std::string errors;
    engine.read_logs(
        container, lines, [&](Bytes bytes) { out += as_text(bytes); },
        [&](Bytes bytes) { errors += as_text(bytes); });
    return err ? errors : out;
}

struct Owner {
    unsigned uid;
    unsigned gid;
    unsigned mode;
    bool operator==(const Owner&) const = default;
};

Owner owner_of(const std::string& path) {
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return {status.st_uid, status.st_gid, status.st_mode & 07777U};
}

}  // namespace

TEST_CASE("a real engine is under test where one is required") {
    if (!variable("DRUNNER_CONTRACT_SOCKET").empty()) {
        CHECK_FALSE(variable("DRUNNER_CONTRACT_IMAGE").empty());
        return;
    }
    MESSAGE("SKIPPED: the real engine; set DRUNNER_CONTRACT_SOCKET and DRUNNER_CONTRACT_IMAGE");
    CHECK(variable("DRUNNER_CONTRACT_REQUIRED") != "1");
}

TEST_CASE("the engine tells that it maps no users") {
    for_each_engine([](Subject& subject) { CHECK_FALSE(subject.engine.info().user_namespaces); });
}

TEST_CASE("images are found by every spelling and by id") {
    for_each_engine([](Subject& subject) {
        const auto image = subject.engine.find_image(subject.image);
        REQUIRE(image);
        CHECK(image->id.starts_with("sha256:"));
        CHECK(image->user == "druser");
        CHECK(image->os == "linux");
        CHECK(subject.engine.find_image(image->id)->id == image->id);
        CHECK(subject.engine.find_image(image->id.substr(7, 12))->id == image->id);
        CHECK_FALSE(subject.engine.find_image(image->id.substr(7, 4)));
        const ImageReference reference(subject.image);
        CHECK(subject.engine.find_image(reference.repository() + ":" + reference.tag_or_latest()));
        CHECK_FALSE(subject.engine.find_image("nobody-has/this:1"));
        CHECK_FALSE(subject.engine.find_image("sha256:" + std::string(64, '0')));
    });
}

TEST_CASE("tags move, and the image goes with its last tag") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string id = engine.find_image(subject.image)->id;
        const std::string repository = "localhost/" + subject.prefix;
        const std::string tag = repository + ":1";
        CHECK_FALSE(engine.remove_image(tag));
        engine.tag_image(subject.image, repository, "1");
        engine.tag_image(id, repository, "1");
        CHECK(engine.find_image(tag)->id == id);
        const auto tags = engine.find_image(id)->tags;
        CHECK(std::find(tags.begin(), tags.end(), tag) != tags.end());
        const auto listed = engine.list_tags(repository);
        REQUIRE(listed.size() == 1);
        CHECK(listed.front().image_id == id);
        CHECK(listed.front().reference == tag);
        CHECK(engine.list_tags(repository + "-other").empty());

        ContainerSpec spec = subject.spec("user");
        spec.image = tag;
        engine.create_container(spec);
        CHECK(kind_thrown([&] { engine.remove_image(id); }) == ErrorKind::engine_conflict);
        CHECK(engine.remove_image(tag));
        CHECK_FALSE(engine.find_image(tag));
        CHECK(engine.find_image(id));
        CHECK(kind_thrown([&] { engine.tag_image("nobody-has/this:1", repository, "1"); }) ==
              ErrorKind::engine_not_found);
    });
}

TEST_CASE("a container of an image without a program can be created, found and removed") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string name = subject.name("web");
        CHECK_FALSE(engine.find_container(name));
        CHECK_FALSE(engine.remove_container(name));
        const std::string id = engine.create_container(subject.spec("web"));
        CHECK(id.size() == 64);

        const auto found = engine.find_container(name);
        REQUIRE(found);
        CHECK(found->id == id);
        CHECK(found->name == name);
        CHECK(is_same_image(found->image, subject.image));
        CHECK(found->image_id == engine.find_image(subject.image)->id);
        CHECK(found->state == "created");
        CHECK(found->health.empty());
        CHECK(found->user == "druser");
        CHECK(found->labels.at(mark) == subject.prefix);
        CHECK(found->document.find(id) != std::string::npos);

        CHECK(engine.find_container(id));
        CHECK(engine.find_container(id.substr(0, 12)));
        CHECK_FALSE(engine.find_container(id.substr(0, 6)));
        CHECK_FALSE(engine.find_container(name.substr(0, name.size() - 1)));
        CHECK_FALSE(engine.remove_container(id.substr(0, 6)));
        CHECK(kind_thrown([&] { engine.start_container(id.substr(0, 6)); }) ==
              ErrorKind::engine_not_found);

        CHECK(engine.remove_container(name));
        CHECK_FALSE(engine.find_container(id));
    });
}

TEST_CASE("names of containers are taken once and images must exist") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        engine.create_container(subject.spec("one"));
        CHECK(kind_thrown([&] { engine.create_container(subject.spec("one")); }) ==
              ErrorKind::engine_conflict);
        ContainerSpec spec = subject.spec("two");
        spec.image = "nobody-has/this:1";
        CHECK(kind_thrown([&] { engine.create_container(spec); }) == ErrorKind::engine_not_found);
        spec = subject.spec("bad name");
        CHECK(kind_thrown([&] { engine.create_container(spec); }) == ErrorKind::engine_refused);
        ContainerSpec unnamed = subject.spec("");
        unnamed.name.clear();
        const std::string id = engine.create_container(unnamed);
        CHECK_FALSE(engine.find_container(id)->name.empty());
        for (const char* call : {"start", "stop", "pause", "unpause", "wait", "logs"}) {
            CAPTURE(call);
            const std::string nobody = subject.name("nobody");
            const std::string what = call;
            CHECK(kind_thrown([&] {
                      if (what == "start") {
                          engine.start_container(nobody);
                      } else if (what == "stop") {
                          engine.stop_container(nobody, seconds{1});
                      } else if (what == "pause") {
                          engine.pause_container(nobody);
                      } else if (what == "unpause") {
                          engine.unpause_container(nobody);
                      } else if (what == "wait") {
                          engine.wait_container(nobody, seconds{1});
                      } else {
                          log_of(engine, nobody, 0, false);
                      }
                  }) == ErrorKind::engine_not_found);
        }
    });
}

TEST_CASE("lists name exactly what was asked for") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string volume = subject.volume("data");
        subject.volume("data2");
        ContainerSpec spec = subject.spec("a");
        spec.mounts = {{volume, "/data", false}};
        spec.labels["drunner.test"] = "x=y";
        engine.create_container(spec);
        engine.create_container(subject.spec("a.b"));
        engine.create_container(subject.spec("xa"));
        const std::string own = mark + "=" + subject.prefix;

        CHECK(engine.list_containers({{own}, "", ""}).size() == 3);
        CHECK(engine.list_containers({{mark, own}, "", ""}).size() == 3);
        CHECK(engine.list_containers({{own, "drunner.test=x=y"}, "", ""}).size() == 1);
        CHECK(engine.list_containers({{own, "drunner.test=x"}, "", ""}).empty());
        CHECK(engine.list_containers({{own, "drunner.tes"}, "", ""}).empty());
        CHECK(engine.list_containers({{}, subject.name("a"), ""}).size() == 1);
        CHECK(engine.list_containers({{}, subject.name("a.b"), ""}).size() == 1);
        CHECK(engine.list_containers({{}, subject.name("axb"), ""}).empty());
        CHECK(engine.list_containers({{}, subject.name(""), ""}).empty());
        CHECK(engine.list_containers({{}, "[", ""}).empty());
        CHECK(engine.list_containers({{}, "", volume}).size() == 1);
        CHECK(engine.list_containers({{}, "", subject.name("dat")}).empty());
        CHECK(engine.list_containers({{}, "", "/data"}).empty());

        const auto listed = engine.list_containers({{}, subject.name("a"), ""}).front();
        CHECK(listed.name == subject.name("a"));
        CHECK(listed.id == engine.find_container(subject.name("a"))->id);
        CHECK(listed.state == "created");
        CHECK(listed.status == "Created");
        CHECK(is_same_image(listed.image, subject.image));
        CHECK(listed.image_id == engine.find_image(subject.image)->id);
        CHECK(listed.labels.at("drunner.test") == "x=y");
        CHECK(listed.created > 0);
        REQUIRE(listed.mounts.size() == 1);
        CHECK(listed.mounts.front().volume == volume);
        CHECK(listed.mounts.front().path == "/data");
        CHECK_FALSE(listed.mounts.front().read_only);

        CHECK(engine.list_volumes({{own}, "", ""}).size() == 2);
        CHECK(engine.list_volumes({{}, volume, ""}).size() == 1);
        CHECK(engine.list_volumes({{}, subject.name("dat"), ""}).empty());
        CHECK(engine.list_volumes({{mark + "=other"}, "", ""}).empty());
        CHECK(engine.list_networks({{own}, "", ""}).empty());
        CHECK_FALSE(engine.remove_network(subject.name("net")));
    });
}

TEST_CASE("volumes are created once, found, and removed when nobody mentions them") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string name = subject.name("data");
        CHECK_FALSE(engine.find_volume(name));
        CHECK_FALSE(engine.remove_volume(name));
        const Volume made = engine.create_volume(name, subject.labels());
        CHECK(made.name == name);
        CHECK(made.driver == "local");
        CHECK(made.options.empty());
        CHECK(made.labels == subject.labels());
        CHECK(std::filesystem::is_directory(made.mountpoint));
        CHECK(owner_of(made.mountpoint) == Owner{0, 0, 0755});

        const Volume again = engine.create_volume(name, {{"other", "label"}});
        CHECK(again.labels == subject.labels());
        CHECK(again.mountpoint == made.mountpoint);
        CHECK(engine.find_volume(name)->labels == subject.labels());
        CHECK_FALSE(engine.find_volume(name.substr(0, name.size() - 1)));

        ContainerSpec spec = subject.spec("user");
        spec.mounts = {{name, "/data", false}};
        engine.create_container(spec);
        CHECK(kind_thrown([&] { engine.remove_volume(name); }) == ErrorKind::engine_conflict);
        engine.remove_container(spec.name);
        CHECK(engine.find_volume(name));
        CHECK(engine.remove_volume(name));
        CHECK_FALSE(engine.find_volume(name));
        CHECK_FALSE(std::filesystem::exists(made.mountpoint));
    });
}

TEST_CASE("an empty volume gets the image's content and its owner unless it is mounted nocopy") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string copied = subject.volume("copied");
        const std::string plain = subject.volume("plain");
        ContainerSpec spec = subject.spec("first");
        spec.entrypoint = {lasting[0]};
        spec.command = {lasting[1], lasting[2]};
        spec.mounts = {{copied, "/drunner", true}, {plain, "/home", false}};
        engine.create_container(spec);
        const std::string mountpoint = engine.find_volume(copied)->mountpoint;
        CHECK(std::filesystem::exists(mountpoint + "/servicecfg.sh"));
        CHECK(std::filesystem::is_empty(engine.find_volume(plain)->mountpoint));

        // Not empty any more: the next container changes nothing.
        REQUIRE(chown(mountpoint.c_str(), 1234, 1235) == 0);
        std::filesystem::remove(mountpoint + "/servicecfg.sh");
        engine.remove_container(spec.name);
        engine.create_container(spec);
        CHECK_FALSE(std::filesystem::exists(mountpoint + "/servicecfg.sh"));
        CHECK(owner_of(mountpoint).uid == 1234);
        engine.start_container(spec.name);
        CHECK(engine.remove_container(spec.name));
        CHECK(owner_of(mountpoint).uid == 1234);
        if (is_podman(engine)) {
            return;
        }

        // Empty again: the image's owner comes back, which is why drunner mounts nocopy.
        for (const auto& entry : std::filesystem::directory_iterator(mountpoint)) {
            std::filesystem::remove_all(entry.path());
        }
        spec.mounts = {{copied, "/drunner", false}};
        engine.create_container(spec);
        CHECK(owner_of(mountpoint).uid == 1234);
        engine.remove_container(spec.name);
        spec.mounts = {{copied, "/drunner", true}};
        engine.create_container(spec);
        CHECK(owner_of(mountpoint).uid == 0);
    });
}

TEST_CASE("a container makes a volume that is missing") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        ContainerSpec spec = subject.spec("user");
        spec.mounts = {{subject.name("new"), "/data", false}};
        engine.create_container(spec);
        const auto volume = engine.find_volume(subject.name("new"));
        REQUIRE(volume);
        CHECK(volume->labels.empty());
        engine.remove_container(spec.name);
        CHECK(engine.remove_volume(subject.name("new")));
    });
}

TEST_CASE("/drunner of an image can be read out of a container that never started") {
    for_each_engine([](Subject& subject) {
        const std::string id = subject.engine.create_container(subject.spec("scratch"));
        const FakeFiles files = unpacked(subject.read(id, "/drunner"));
        REQUIRE(files.contains("drunner"));
        CHECK(files.at("drunner").type == FakeFile::Type::directory);
        REQUIRE(files.contains("drunner/servicecfg.sh"));
        CHECK(files.at("drunner/servicecfg.sh").content.find("VOLUMES") != std::string::npos);
        CHECK(unpacked(subject.read(id, "/drunner/servicecfg.sh")).contains("servicecfg.sh"));
        CHECK(kind_thrown([&] { subject.read(id, "/not/there"); }) == ErrorKind::engine_not_found);
        CHECK(kind_thrown([&] { subject.read(subject.name("nobody"), "/drunner"); }) ==
              ErrorKind::engine_not_found);
        CHECK_THROWS_WITH(subject.engine.read_archive(
                              id, "/drunner", [](Bytes) { throw std::runtime_error("full"); }),
                          "full");
    });
}

TEST_CASE("an archive written to the parent sets owner and mode of a volume's root") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        // Podman writes it below the volume, into the container's own directory.
        if (is_podman(engine)) {
            return;
        }
        const std::string volume = subject.volume("data");
        ContainerSpec spec = subject.spec("writer");
        spec.mounts = {{volume, "/srv/data", false}};
        engine.create_container(spec);
        const std::string mountpoint = engine.find_volume(volume)->mountpoint;

        subject.write(spec.name, "/srv",
                      packed({{"data", fake_directory(1000, 1001, 0750)},
                              {"data/file", {"content", 0640, 7, 8}}}));
        CHECK(owner_of(mountpoint) == Owner{1000, 1001, 0750});
        CHECK(owner_of(mountpoint + "/file") == Owner{7, 8, 0640});

        // Merges, and leaves the directory itself alone.
        subject.write(spec.name, "/srv/data", packed({{"more", {std::string(300'000, 'x')}}}));
        CHECK(owner_of(mountpoint) == Owner{1000, 1001, 0750});
        CHECK(std::filesystem::exists(mountpoint + "/file"));
        const FakeFiles files = unpacked(subject.read(spec.name, "/srv/data"));
        CHECK(files.at("data").uid == 1000);
        CHECK(files.at("data").mode == 0750);
        CHECK(files.at("data/file").content == "content");
        CHECK(files.at("data/more").content.size() == 300'000);

        CHECK(kind_thrown([&] { subject.write(spec.name, "/not/there", packed({})); }) ==
              ErrorKind::engine_not_found);
        CHECK_THROWS_WITH(engine.write_archive(spec.name, "/srv",
                                               [](std::span<std::byte>) -> std::size_t {
                                                   throw std::runtime_error("unreadable");
                                               }),
                          "unreadable");
    });
}

TEST_CASE("a program's end, its exit code and what it wrote are told") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        ContainerSpec spec = subject.spec("speaker");
        spec.entrypoint = {speaking[0]};
        spec.command = {speaking[1], speaking[2]};
        spec.confined = true;
        engine.create_container(spec);
        engine.start_container(spec.name);
        CHECK(engine.wait_container(spec.name, seconds{60}) == 3);
        const auto found = engine.find_container(spec.name);
        CHECK(found->state == "exited");
        CHECK(found->exit_code == 3);
        CHECK(log_of(engine, spec.name, 0, false) == "one\ntwo\n");
        CHECK(log_of(engine, spec.name, 0, true) == "three\n");
        const auto listed = engine.list_containers({{}, spec.name, ""});
        REQUIRE(listed.size() == 1);
        CHECK(listed.front().status.starts_with("Exited (3)"));
    });
}

TEST_CASE("containers start, pause, go on and stop, also when they do so already") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        ContainerSpec spec = subject.spec("lasting");
        spec.command = lasting;
        spec.confined = true;
        engine.create_container(spec);
        const auto state = [&] { return engine.find_container(spec.name)->state; };
        const auto listed_as_running = [&] {
            return engine.list_containers({.name = spec.name, .running = true}).size() == 1;
        };

        CHECK_FALSE(listed_as_running());
        engine.stop_container(spec.name, seconds{1});
        CHECK(kind_thrown([&] { engine.pause_container(spec.name); }) ==
              ErrorKind::engine_conflict);
        engine.start_container(spec.name);
        engine.start_container(spec.name);
        CHECK(state() == "running");
        CHECK(kind_thrown([&] { engine.wait_container(spec.name, seconds{0}); }) ==
              ErrorKind::timed_out);
        engine.pause_container(spec.name);
        CHECK(state() == "paused");
        CHECK(listed_as_running());
        CHECK(kind_thrown([&] { engine.pause_container(spec.name); }) ==
              ErrorKind::engine_conflict);
        engine.unpause_container(spec.name);
        CHECK(state() == "running");
        CHECK(listed_as_running());
        engine.stop_container(spec.name, seconds{1});
        engine.stop_container(spec.name, seconds{1});
        CHECK(state() == "exited");
        CHECK_FALSE(listed_as_running());
        engine.start_container(spec.name);
        CHECK(state() == "running");
        CHECK(engine.remove_container(spec.name));
        CHECK_FALSE(engine.find_container(spec.name));
    });
}

TEST_CASE("a container can be made from a raw body") {
    for_each_engine([](Subject& subject) {
        Engine& engine = subject.engine;
        const std::string volume = subject.volume("data");
        const std::string body = R"({"Image":")" + subject.image + R"(","Cmd":["x"],"Labels":{")" +
                                 mark + R"(":")" + subject.prefix + R"("},"User":"0:0",)" +
                                 R"("HostConfig":{"Binds":[")" + volume + R"(:/data:nocopy"]}})";
        const std::string id = engine.create_container_from(subject.name("raw"), body);
        const auto found = engine.find_container(subject.name("raw"));
        REQUIRE(found);
        CHECK(found->id == id);
        CHECK(found->user == "0:0");
        REQUIRE(found->mounts.size() == 1);
        CHECK(found->mounts.front().volume == volume);
        CHECK(kind_thrown([&] { engine.create_container_from(subject.name("raw"), body); }) ==
              ErrorKind::engine_conflict);
        CHECK(kind_thrown([&] { engine.create_container_from(subject.name("bad"), "{"); }) ==
              ErrorKind::engine_refused);
    });
}

TEST_CASE("a pull from nowhere says that the registry cannot be reached") {
    for_each_engine([](Subject& subject) {
        SilentProgress progress;
        CHECK(kind_thrown([&] {
                  subject.engine.pull_image(
                      ImageReference("127.0.0.1:1/timeout/denied:unauthorized"), {}, progress);
              }) == ErrorKind::registry_unreachable);
    });
}

TEST_CASE("an engine serves several threads at once") {
    for_each_engine([](Subject& subject) {
        std::vector<std::thread> threads;
        std::atomic<int> found = 0;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&, i] {
                const std::string name = subject.name("t" + std::to_string(i));
                subject.engine.create_volume(name, subject.labels());
                for (int turn = 0; turn < 5; ++turn) {
                    found += subject.engine.find_volume(name) ? 1 : 0;
                }
                found += subject.engine.remove_volume(name) ? 1 : 0;
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(found == 24);
    });
}
