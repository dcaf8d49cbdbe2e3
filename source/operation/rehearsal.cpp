#include "operation/rehearsal.hpp"

#include <mutex>
#include <set>
#include <string>

#include "core/error.hpp"
#include "service/manifest.hpp"

namespace drunner {
namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw Error(ErrorKind::system, "--check does not " + what);
}

class ReadOnlyEngine final : public Engine {
  public:
    explicit ReadOnlyEngine(Engine& engine) : engine_(engine) {}

    EngineInfo info() override { return engine_.info(); }
    std::optional<Image> find_image(std::string_view reference) override {
        return engine_.find_image(reference);
    }
    std::vector<ImageTag> list_tags(std::string_view repository) override {
        return engine_.list_tags(repository);
    }
    std::optional<std::string> distribution_digest(const ImageReference& reference,
                                                   const RegistryAuth& auth) override {
        return engine_.distribution_digest(reference, auth);
    }
    std::optional<Container> find_container(std::string_view container) override {
        return engine_.find_container(container);
    }
    std::vector<ContainerSummary> list_containers(const ObjectFilter& filter) override {
        return engine_.list_containers(filter);
    }
    void read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                   const ByteSink& err) override {
        engine_.read_logs(container, last_lines, out, err);
    }
    void follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                     const ByteSink& err) override {
        engine_.follow_logs(container, last_lines, out, err);
    }
    void follow_events(std::int64_t since, std::chrono::seconds limit,
                       const std::function<void(const ContainerEvent&)>& sink) override {
        engine_.follow_events(since, limit, sink);
    }
    void read_archive(std::string_view container, std::string_view path,
                      const ByteSink& tar) override {
        engine_.read_archive(container, path, tar);
    }
    std::optional<Volume> find_volume(std::string_view name) override {
        return engine_.find_volume(name);
    }
    std::vector<Volume> list_volumes(const ObjectFilter& filter) override {
        return engine_.list_volumes(filter);
    }
    std::vector<Network> list_networks(const ObjectFilter& filter) override {
        return engine_.list_networks(filter);
    }
    void save_image(std::string_view id, const ByteSink& tar) override {
        engine_.save_image(id, tar);
    }

    std::string create_container(const ContainerSpec& spec) override {
        // One that mounts a volume could fill it, also without being started.
        if (!spec.labels.contains(label::scratch) || spec.name.empty() || !spec.mounts.empty()) {
            refuse("create containers");
        }
        {
            const std::lock_guard lock(mutex_);
            scratch_.insert(spec.name);
        }
        return engine_.create_container(spec);
    }
    bool remove_container(std::string_view container) override {
        {
            const std::lock_guard lock(mutex_);
            if (!scratch_.contains(std::string(container))) {
                refuse("remove containers");
            }
        }
        return engine_.remove_container(container);
    }

    void pull_image(const ImageReference&, const RegistryAuth&, Progress&) override {
        refuse("pull images");
    }
    void tag_image(std::string_view, std::string_view, std::string_view) override {
        refuse("tag images");
    }
    bool remove_image(std::string_view) override { refuse("remove images"); }
    void load_image(const ByteSource&, Progress&) override { refuse("load images"); }
    std::string import_image(const ByteSource&, std::string_view, std::string_view) override {
        refuse("import images");
    }
    std::string create_container_from(std::string_view, std::string_view) override {
        refuse("create containers");
    }
    void start_container(std::string_view) override { refuse("start containers"); }
    void stop_container(std::string_view, std::chrono::seconds) override {
        refuse("stop containers");
    }
    void pause_container(std::string_view) override { refuse("pause containers"); }
    void unpause_container(std::string_view) override { refuse("unpause containers"); }
    void set_restart_policy(std::string_view, std::string_view, unsigned) override {
        refuse("change containers");
    }
    int wait_container(std::string_view, std::chrono::seconds) override {
        refuse("wait for containers");
    }
    int exec(std::string_view, const ExecRequest&, const ByteSink&, const ByteSink&) override {
        refuse("run programs in containers");
    }
    void write_archive(std::string_view, std::string_view, const ByteSource&) override {
        refuse("write into containers");
    }
    Volume create_volume(std::string_view, const Labels&) override { refuse("create volumes"); }
    bool remove_volume(std::string_view) override { refuse("remove volumes"); }
    std::string create_network(std::string_view, const Labels&) override {
        refuse("create networks");
    }
    bool remove_network(std::string_view) override { refuse("remove networks"); }

  private:
    Engine& engine_;
    std::mutex mutex_;
    std::set<std::string> scratch_;  // guarded by mutex_: names of containers made here
};

class NoScripts final : public ScriptRunner {
  public:
    HookResult run_hook(const HookCall&) override { refuse("run scripts"); }
    int run_command(const CommandCall&) override { refuse("run scripts"); }
};

Machine machine_with(Engine& engine, ScriptRunner& scripts, const Machine& real) {
    Machine machine{engine,         real.registry,       scripts,          real.clock,
                    real.progress,  real.paths,          real.config,      real.engine_socket,
                    real.version,   real.drunner_binary, real.caller_path, real.command_line,
                    real.lock_wait, real.nested,         real.observer,    real.accept_scripts};
    machine.changes = real.changes;
    machine.check = true;
    return machine;
}

}  // namespace

Rehearsal::Rehearsal(const Machine& real)
    : engine_(std::make_unique<ReadOnlyEngine>(real.engine)),
      scripts_(std::make_unique<NoScripts>()),
      machine_(machine_with(*engine_, *scripts_, real)) {}

Rehearsal::~Rehearsal() = default;

}  // namespace drunner
