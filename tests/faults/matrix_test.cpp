#include <doctest/doctest.h>
#include <fcntl.h>

#include <optional>
#include <set>

#include "core/error.hpp"
#include "fakes/world.hpp"
#include "host/file.hpp"
#include "operation/operations.hpp"
#include "operation/session.hpp"
#include "operation/settings.hpp"

namespace drunner::test {
namespace {

// Ends an operation where it stands, like kill -9: it is no std::exception, so nothing is undone.
struct Killed {};

enum class Fault { fail_before, fail_after, kill_before, kill_after };

std::string word(Fault fault) {
    switch (fault) {
        case Fault::fail_before:
            return "fails before its effect";
        case Fault::fail_after:
            return "fails after its effect";
        case Fault::kill_before:
            return "is killed before its effect";
        case Fault::kill_after:
            break;
    }
    return "is killed after its effect";
}

// Breaks the Nth step; counts and names them all.
class Breaker : public TransactionObserver {
  public:
    Breaker(std::size_t number, std::optional<Fault> fault) : number_(number), fault_(fault) {}

    void before(std::string_view step) override {
        steps.emplace_back(step);
        if (steps.size() == number_ + 1) {
            strike(Fault::fail_before, Fault::kill_before);
        }
    }
    void after(std::string_view) override {
        if (steps.size() == number_ + 1) {
            strike(Fault::fail_after, Fault::kill_after);
        }
    }

    std::vector<std::string> steps;
    bool struck = false;

  private:
    void strike(Fault failure, Fault kill) {
        if (fault_ == failure) {
            struck = true;
            throw Error(ErrorKind::system, "broken on purpose");
        }
        if (fault_ == kill) {
            struck = true;
            throw Killed{};
        }
    }

    std::size_t number_;
    std::optional<Fault> fault_;
};

struct Operation {
    std::string name;
    void (*prepare)(World&);
    void (*run)(World&, Machine&);
};

const ServiceName app("app");
const ServiceName copy("copy");

void nothing(World&) {}

void installed(World& world) {
    Machine machine = world.machine();
    install(machine, {world.reference(), app, {}});
    world.write_data("drunner-app-data", "mine", "my data\n");
    world.write_data("drunner-app-extra", "more", "more data\n");
}

void outdated(World& world) {
    installed(world);
    world.build(2);
}

void updated_once(World& world) {
    outdated(world);
    Machine machine = world.machine();
    update(machine, app, {});
    world.build(3);
}

void backed_up(World& world) {
    installed(world);
    Machine machine = world.machine();
    backup(machine, app, {world.backup_file(), -1, {}, 1});
}

void reconfigured(World& world) {
    installed(world);
    Machine machine = world.machine();
    configure(machine, app, {{{"PORT", "8080"}}, {}});
}

void scripts_lost(World& world) {
    installed(world);
    remove_tree(Paths(world.prefix()).scripts(app));
    remove_tree(world.prefix() + "/usr/local/bin/app");
}

void run_install(World& world, Machine& machine) {
    install(machine, {world.reference(), app, {}});
}
void run_update(World&, Machine& machine) {
    update(machine, app, {});
}
void run_configure(World&, Machine& machine) {
    configure(machine, app, {{{"PORT", "8080"}}, {}});
}
void run_uninstall(World&, Machine& machine) {
    uninstall(machine, app);
}
void run_obliterate(World&, Machine& machine) {
    obliterate(machine, app);
}
void run_recover(World&, Machine& machine) {
    recover(machine, app, {});
}
void run_backup(World& world, Machine& machine) {
    backup(machine, app, {world.backup_file(), -1, {}, 1});
}
void run_restore(World& world, Machine& machine) {
    const FileDescriptor file(open(world.backup_file().c_str(), O_RDONLY | O_CLOEXEC));
    RestoreRequest request;
    request.input = file.get();
    request.name = copy;
    restore(machine, request);
}

const std::vector<Operation> operations{
    {"install", nothing, run_install},           {"update", outdated, run_update},
    {"second update", updated_once, run_update}, {"backup", installed, run_backup},
    {"restore", backed_up, run_restore},         {"recover", scripts_lost, run_recover},
    {"uninstall", installed, run_uninstall},     {"obliterate", installed, run_obliterate},
    {"configure", installed, run_configure},     {"update of settings", reconfigured, run_update},
};

// As a new process.
void recover_everything(World& world) {
    Machine machine = world.machine();
    const RecoverAllResult result = recover_all(machine);
    CHECK(result.failures == std::vector<std::string>{});
}

struct Expected {
    std::vector<std::string> before;
    std::vector<std::string> after;
    std::vector<std::string> steps;
    std::size_t engine_calls = 0;
};

Expected without_faults(const Operation& operation) {
    World world;
    operation.prepare(world);
    Expected expected;
    expected.before = world.state();
    const std::size_t calls = world.engine().calls().size();
    Breaker observer(0, std::nullopt);
    Machine machine = world.machine(&observer);
    operation.run(world, machine);
    expected.engine_calls = world.engine().calls().size() - calls;
    expected.after = world.state();
    expected.steps = observer.steps;
    return expected;
}

// Old or new, never a mixture.
void check_old_or_new(World& world, const Expected& expected) {
    const std::vector<std::string> state = world.state();
    if (state != expected.before && state != expected.after) {
        FAIL_CHECK("a mixed state; against the old one:\n"
                   << difference(expected.before, state) << "against the new one:\n"
                   << difference(expected.after, state));
    }
}

}  // namespace

TEST_CASE("every step of every operation, failed and killed, leaves the old state or the new") {
    std::size_t cases = 0;
    for (const Operation& operation : operations) {
        const Expected expected = without_faults(operation);
        REQUIRE(expected.before != expected.after);
        std::set<std::string> covered;
        for (std::size_t step = 0; step < expected.steps.size(); ++step) {
            for (const Fault fault :
                 {Fault::fail_before, Fault::fail_after, Fault::kill_before, Fault::kill_after}) {
                INFO(operation.name << ": step " << step << " '" << expected.steps[step] << "' "
                                    << word(fault));
                World world;
                operation.prepare(world);
                Breaker breaker(step, fault);
                Machine machine = world.machine(&breaker);
                bool killed = false;
                bool failed = false;
                try {
                    operation.run(world, machine);
                } catch (const Killed&) {
                    killed = true;
                } catch (const Error&) {
                    failed = true;
                }
                CHECK(breaker.struck);
                // What goes wrong at the rename, after it, cannot unmake the commit.
                CHECK((killed || failed || expected.steps[step] == "commit"));
                const auto commit =
                    std::find(expected.steps.begin(), expected.steps.end(), "commit");
                const bool committed =
                    expected.steps.begin() + static_cast<std::ptrdiff_t>(step) > commit ||
                    (expected.steps[step] == "commit" && fault == Fault::fail_after);
                if (failed && !committed && world.state() != expected.before) {
                    FAIL_CHECK("not undone:\n" << difference(expected.before, world.state()));
                }
                recover_everything(world);
                check_old_or_new(world, expected);
                recover_everything(world);
                check_old_or_new(world, expected);
                covered.insert(expected.steps[step]);
                ++cases;
            }
        }
        CHECK(covered == std::set<std::string>(expected.steps.begin(), expected.steps.end()));
    }
    MESSAGE(cases << " cases");
}

TEST_CASE("every engine call of every operation, failed before and after its effect") {
    std::size_t cases = 0;
    for (const Operation& operation : operations) {
        const Expected expected = without_faults(operation);
        for (std::size_t number = 0; number < expected.engine_calls; ++number) {
            for (const bool before_effect : {true, false}) {
                World world;
                operation.prepare(world);
                std::size_t count = 0;
                std::string broken;
                world.engine().observe([&](const std::string& call, bool before) {
                    if (before == before_effect && count++ == number) {
                        broken = call;
                        throw Error(ErrorKind::engine_unreachable, "the engine went away");
                    }
                });
                Machine machine = world.machine();
                bool failed = false;
                try {
                    operation.run(world, machine);
                } catch (const Error&) {
                    failed = true;
                }
                world.engine().observe({});
                INFO(operation.name << ": call " << number << " '" << broken << "' fails "
                                    << std::string(before_effect ? "before" : "after")
                                    << " its effect, "
                                    << std::string(failed ? "told" : "not told"));
                recover_everything(world);
                check_old_or_new(world, expected);
                if (!failed) {
                    CHECK(world.state() == expected.after);
                }
                ++cases;
            }
        }
    }
    MESSAGE(cases << " cases");
}

TEST_CASE("a failing hook undoes install, update and restore, and stops a backup") {
    const struct {
        Operation operation;
        std::string hook;
    } rows[]{
        {operations[0], "install"},   {operations[1], "updatestart"},
        {operations[1], "updateend"}, {operations[3], "backupstart"},
        {operations[3], "backupend"}, {operations[4], "install"},
        {operations[4], "restore"},   {operations[5], "install"},
    };
    for (const auto& row : rows) {
        INFO(row.operation.name << " with a failing '" << row.hook << "'");
        World world;
        row.operation.prepare(world);
        const std::vector<std::string> before = world.state();
        world.scripts().failing = row.hook;
        Machine machine = world.machine();
        CHECK_THROWS_AS(row.operation.run(world, machine), Error);
        CHECK(difference(before, world.state()) == "");
    }
}

TEST_CASE("a failing obliterate hook is an error, and everything is removed all the same") {
    World world;
    installed(world);
    world.scripts().failing = "obliterate";
    Machine machine = world.machine();
    CHECK_THROWS_AS(obliterate(machine, app), Error);
    CHECK(world.engine().list_volumes({}).empty());
    CHECK(world.engine().list_containers({}).empty());
    CHECK(obliterate(machine, app).outcome == Outcome::unchanged);
}

TEST_CASE("a failing uninstall hook is reported, and nothing but the volumes is left") {
    World world;
    installed(world);
    world.scripts().failing = "uninstall";
    Machine machine = world.machine();
    CHECK(uninstall(machine, app).outcome == Outcome::changed);
    CHECK(!world.progress().warnings.empty());
    CHECK(world.engine().list_volumes({}).size() == 2);
    CHECK(world.engine().list_containers({}).empty());
    CHECK(uninstall(machine, app).outcome == Outcome::unchanged);
}

TEST_CASE("an undone failure says that it was rolled back, one before any change does not") {
    World world;
    outdated(world);
    world.scripts().failing = "updateend";
    Machine machine = world.machine();
    try {
        update(machine, app, {});
        FAIL("it must fail");
    } catch (const Error& error) {
        CHECK(error.rolled_back());
        CHECK(std::string(error.what()).find("it fails") != std::string::npos);
    }
    try {
        update(machine, copy, {});
        FAIL("it must fail");
    } catch (const Error& error) {
        CHECK_FALSE(error.rolled_back());
    }
}

TEST_CASE("what was interrupted on another engine is not touched through this one") {
    World world;
    installed(world);
    Breaker breaker(0, Fault::kill_after);
    Machine machine = world.machine(&breaker);
    CHECK_THROWS_AS(uninstall(machine, app), Killed);
    const std::vector<std::string> before = world.state();
    Machine other = world.machine();
    other.engine_socket = "/another/docker.sock";
    CHECK(recover_all(other).failures.size() == 1);
    CHECK(world.state() == before);
    recover_everything(world);
}

TEST_CASE("recover of everything: nothing interrupted is nothing to do") {
    World world;
    installed(world);
    Machine machine = world.machine();
    CHECK(recover_all(machine).recovered.empty());
}

TEST_CASE("a prune takes nothing of an installed service") {
    World world;
    updated_once(world);
    const std::vector<std::string> before = world.state();
    world.engine().remove_container("app");
    const std::size_t volumes = world.engine().list_volumes({}).size();
    world.engine().prune_volumes();
    world.engine().prune_images();
    CHECK(world.engine().list_volumes({}).size() == volumes);
    Machine machine = world.machine();
    CHECK(examine(machine, app).whole());
}

}  // namespace drunner::test
