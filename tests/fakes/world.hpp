#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "fakes/fake_engine.hpp"
#include "fakes/fake_registry.hpp"
#include "fakes/silent_progress.hpp"
#include "fakes/temporary_directory.hpp"
#include "operation/machine.hpp"
#include "operation/transaction.hpp"

namespace drunner::test {

// The scripts of a long-running service, as a stranger's bash would act: `install` and `updateend`
// run a container named as the service on the pinned image, `updatestart`, `uninstall` and
// `obliterate` remove it, `backupstart` pauses it, `updateend` changes the data, `restore` marks
// it.
class ServiceScripts : public ScriptRunner {
  public:
    explicit ServiceScripts(FakeEngine& engine) : engine_(engine) {}

    HookResult run_hook(const HookCall& call) override;
    int run_command(const CommandCall&) override { return 0; }

    std::string failing;     // the hook that does its work and then fails
    std::string corrupting;  // the hook that writes over the data
    std::vector<std::string> called;

  private:
    void act(const HookCall& call);

    std::mutex mutex_;  // of called
    FakeEngine& engine_;
};

// Stands still; waiting takes no time, but is told.
class FixedClock : public Clock {
  public:
    TimePoint now() override { return TimePoint(std::chrono::seconds(1'700'000'000)); }
    void wait(std::chrono::milliseconds duration) override {
        waited += duration;
        if (on_wait) {
            on_wait(waited);
        }
    }

    std::chrono::milliseconds waited{0};
    std::function<void(std::chrono::milliseconds waited)> on_wait;
};

// A whole host in a temporary directory: real files, a fake engine, fake scripts.
class World {
  public:
    World();

    FakeEngine& engine() { return engine_; }
    FakeRegistry& registry() { return registry_; }
    ServiceScripts& scripts() { return scripts_; }
    FixedClock& clock() { return clock_; }
    SilentProgress& progress() { return progress_; }
    const std::string& prefix() const { return prefix_; }
    std::string backup_file() const { return prefix_ + "/b.tar.zst"; }
    // As a new process would find it.
    Machine machine(TransactionObserver* observer = nullptr);

    // The image "app:1" (or another version) with two volumes and a long-running service.
    FakeImage image(int version) const;
    void build(int version);  // tags it as a local build of "app"
    ImageReference reference() const { return ImageReference("app"); }

    // As if the engine mapped users: no volume can be reached on this machine from now on.
    void stream_volumes() { engine_.engine_info.user_namespaces = true; }

    void write_data(const std::string& volume, const std::string& file, const std::string& text);

    // Everything that counts, a line each: files below the prefix, containers, volumes with their
    // content, pins. Without the names of operations, what only remembers (failed and pulled
    // images, drills), the lock, the log.
    std::vector<std::string> state();

  private:
    FakeProgram run_mover(const FakeContainer& container) const;

    TemporaryDirectory directory_;
    std::string prefix_;
    FakeRegistry registry_;
    FakeEngine engine_;
    ServiceScripts scripts_;
    FixedClock clock_;
    SilentProgress progress_;
};

// The lines that only one of the two states has, for a failure's message.
std::string difference(const std::vector<std::string>& before,
                       const std::vector<std::string>& after);

}  // namespace drunner::test
