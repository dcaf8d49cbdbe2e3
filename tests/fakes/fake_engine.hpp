#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"
#include "fakes/fake_image.hpp"
#include "fakes/fake_registry.hpp"

namespace drunner::test {

// What a container's program does when it is started.
struct FakeProgram {
    bool keeps_running = true;
    int exit_code = 0;
    std::string out;
    std::string err;
};

struct FakeContainer {
    std::string id;
    std::string name;
    std::string image;  // as given
    std::string image_id;
    std::string state = "created";
    std::string health;
    int exit_code = 0;
    int restart_count = 0;
    std::int64_t created = 0;
    std::string started_at = "0001-01-01T00:00:00Z";
    std::string finished_at = "0001-01-01T00:00:00Z";
    std::string user;
    std::vector<std::string> arguments;  // entrypoint and command, the image's where none was given
    Labels labels;
    std::vector<VolumeMount> mounts;
    std::set<std::string> anonymous_volumes;
    FakeFiles layer;  // what was written beside the volumes
    std::string out;
    std::string err;
    std::string body;  // of POST /containers/create
};

// A container engine in memory, whose volumes are real directories: ROOT/volumes/NAME/_data. It
// does what drunner relies on as Docker 20.10 does it; tests/contract holds it to that. Needs root
// where volumes get owners.
class FakeEngine : public Engine {
  public:
    // `registry` is what pulls come from; without one every registry is unreachable.
    explicit FakeEngine(std::string root, FakeRegistry* registry = nullptr);

    // An image as a local build leaves it: tags, no digests. Answers its id.
    std::string add_image(const std::string& reference, const FakeImage& image);
    void add_network(const std::string& name, const Labels& labels);
    // Called before and after the effect of each call with its name and object, for example
    // "create_container blog-web"; it may throw: before the effect the call then did not happen,
    // after it nobody heard that it did.
    using Observer = std::function<void(const std::string& call, bool before)>;
    void observe(Observer observer);
    // Decides what started containers do; by default they run until they are stopped.
    void run_programs_with(std::function<FakeProgram(const FakeContainer&)> programs);
    // Changes a container behind drunner's back: its state, health, log.
    void change_container(std::string_view container,
                          const std::function<void(FakeContainer&)>& change);
    // What others do to an engine: `docker volume prune` of 20.10, which removes every volume that
    // no container mentions, and `docker image prune -a`, every image that no container uses.
    void prune_volumes();
    void prune_images();
    // All calls so far, as the observer gets them.
    std::vector<std::string> calls() const;

    EngineInfo engine_info;              // what info() answers
    std::vector<ContainerEvent> events;  // what follow_events() tells

    EngineInfo info() override;
    std::optional<Image> find_image(std::string_view reference) override;
    std::vector<ImageTag> list_tags(std::string_view repository) override;
    void pull_image(const ImageReference& reference, const RegistryAuth& auth,
                    Progress& progress) override;
    std::optional<std::string> distribution_digest(const ImageReference& reference,
                                                   const RegistryAuth& auth) override;
    void tag_image(std::string_view image, std::string_view repository,
                   std::string_view tag) override;
    bool remove_image(std::string_view reference) override;
    void save_image(std::string_view id, const ByteSink& tar) override;
    void load_image(const ByteSource& tar, Progress& progress) override;
    std::string import_image(const ByteSource& tar, std::string_view repository,
                             std::string_view tag) override;

    std::string create_container(const ContainerSpec& spec) override;
    std::string create_container_from(std::string_view name, std::string_view body) override;
    std::optional<Container> find_container(std::string_view container) override;
    std::vector<ContainerSummary> list_containers(const ObjectFilter& filter) override;
    void start_container(std::string_view container) override;
    void stop_container(std::string_view container, std::chrono::seconds grace) override;
    void pause_container(std::string_view container) override;
    void unpause_container(std::string_view container) override;
    void set_restart_policy(std::string_view container, std::string_view policy,
                            unsigned retries) override;
    int wait_container(std::string_view container, std::chrono::seconds limit) override;
    bool remove_container(std::string_view container) override;
    void read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                   const ByteSink& err) override;
    // The log as it is: nothing more comes.
    void follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                     const ByteSink& err) override;
    // What run_programs_with says of the container, given the request's command as arguments.
    int exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
             const ByteSink& err) override;
    // Those of `events` that are not older.
    void follow_events(std::int64_t since, std::chrono::seconds limit,
                       const std::function<void(const ContainerEvent&)>& sink) override;

    void read_archive(std::string_view container, std::string_view path,
                      const ByteSink& tar) override;
    void write_archive(std::string_view container, std::string_view path,
                       const ByteSource& tar) override;

    Volume create_volume(std::string_view name, const Labels& labels) override;
    std::optional<Volume> find_volume(std::string_view name) override;
    std::vector<Volume> list_volumes(const ObjectFilter& filter) override;
    bool remove_volume(std::string_view name) override;

    std::string create_network(std::string_view name, const Labels& labels) override;
    std::vector<Network> list_networks(const ObjectFilter& filter) override;
    bool remove_network(std::string_view network) override;

  private:
    struct HeldImage {
        FakeImage image;
        std::set<std::string> tags;     // "docker.io/library/debian:12"
        std::set<std::string> digests;  // "docker.io/library/debian@sha256:..."
    };

    template <typename Effect>
    auto perform(std::string_view verb, std::string_view object, Effect&& effect);

    std::string find_image_id(std::string_view reference) const;  // empty where absent
    FakeContainer* look_up(std::string_view container);
    FakeContainer& get(std::string_view container);
    bool is_mentioned(const std::string& volume) const;
    Volume& make_volume(const std::string& name, const Labels& labels);
    void erase_volume(const std::string& name);
    void copy_up(const FakeImage& image, const VolumeMount& mount);
    FakeFiles files_of(const FakeContainer& container) const;
    std::string host_path(const FakeContainer& container, const std::string& path) const;
    void erase_container(const std::string& id);
    std::string create(std::string_view name, std::string_view body);
    std::string document_of(const FakeContainer& container) const;
    void move_tag(const std::string& tag, const std::string& id);

    mutable std::recursive_mutex mutex_;
    std::string root_;
    FakeRegistry* registry_;
    Observer observer_;
    std::function<FakeProgram(const FakeContainer&)> programs_;
    std::map<std::string, HeldImage> images_;          // by id
    std::map<std::string, FakeImage> saved_;           // by id
    std::map<std::string, FakeContainer> containers_;  // by id
    std::map<std::string, Volume> volumes_;            // by name
    std::vector<Network> networks_;
    std::vector<std::string> calls_;
    unsigned counter_ = 0;
};

}  // namespace drunner::test
