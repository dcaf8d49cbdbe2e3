#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>

#include <optional>
#include <set>

#include "core/error.hpp"
#include "fakes/reflink_disk.hpp"
#include "fakes/world.hpp"
#include "faults/sampling.hpp"
#include "host/file.hpp"
#include "operation/doctor.hpp"
#include "operation/operations.hpp"
#include "operation/secrets.hpp"
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
    void (*set_up)(World&);
    void (*run)(World&, Machine&);
    bool streamed = false;  // no volume can be reached but through the engine

    void prepare(World& world) const {
        if (streamed) {
            world.stream_volumes();
        }
        set_up(world);
    }
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

// The data that each release was left with is kept.
void updated_and_used(World& world) {
    outdated(world);
    Machine machine = world.machine();
    update(machine, app, {});
    world.write_data("drunner-app-data", "mine", "new data\n");
    world.write_data("drunner-app-extra", "later", "later data\n");
}

void backed_up(World& world) {
    installed(world);
    Machine machine = world.machine();
    backup(machine, app, {world.backup_file(), -1, {}, 1});
}

void obliterated(World& world) {
    installed(world);
    Machine machine = world.machine();
    obliterate(machine, app);
}

void uninstalled(World& world) {
    installed(world);
    Machine machine = world.machine();
    uninstall(machine, app);
}

// The data has changed since the backup.
void moved_on(World& world) {
    backed_up(world);
    world.write_data("drunner-app-data", "mine", "my newer data\n");
    world.write_data("drunner-app-extra", "newer", "only here\n");
}

void moved_on_with_new_image(World& world) {
    moved_on(world);
    world.build(2);
}

void only_volumes_left(World& world) {
    moved_on(world);
    Machine machine = world.machine();
    uninstall(machine, app);
}

void reconfigured(World& world) {
    installed(world);
    Machine machine = world.machine();
    configure(machine, app, {{{"PORT", "8080"}}, {}});
}

// A container has mounted the secret, and the image does not declare it.
void with_secret(World& world) {
    installed(world);
    Machine machine = world.machine();
    set_secret(machine, app, "key", Secret("the old content"));
    write_file(machine.paths.secret(app, "key") + "/666-999-0400", "the old content", 0400);
}

BackupKey backup_key() {
    BackupKey key;
    key.password = Secret("pass");
    key.work_factor = 1;
    return key;
}

void backed_up_with_secret(World& world) {
    with_secret(world);
    Machine machine = world.machine();
    backup(machine, app, {world.backup_file(), -1, backup_key(), 1});
    set_secret(machine, app, "key", Secret("a newer content"));
}

void obliterated_with_secret(World& world) {
    with_secret(world);
    Machine machine = world.machine();
    obliterate(machine, app);
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
void run_secret_set(World&, Machine& machine) {
    set_secret(machine, app, "key", Secret("the new content"));
}
void run_secret_rm(World&, Machine& machine) {
    remove_secret(machine, app, "key");
}
void run_restore_encrypted(World& world, Machine& machine, bool replace) {
    const FileDescriptor file(open(world.backup_file().c_str(), O_RDONLY | O_CLOEXEC));
    RestoreRequest request;
    request.input = file.get();
    request.key.password = Secret("pass");
    request.name = replace ? app : copy;
    request.replace = replace;
    restore(machine, request);
}
void run_restore_secrets(World& world, Machine& machine) {
    run_restore_encrypted(world, machine, false);
}
void run_replace_secrets(World& world, Machine& machine) {
    run_restore_encrypted(world, machine, true);
}
void run_rollback(World&, Machine& machine) {
    rollback(machine, app, {false});
}
void run_rollback_with_data(World&, Machine& machine) {
    rollback(machine, app, {true});
}
void run_uninstall(World&, Machine& machine) {
    uninstall(machine, app);
}
void run_obliterate(World&, Machine& machine) {
    obliterate(machine, app);
}
void run_purge(World&, Machine& machine) {
    obliterate(machine, app, {true});
}
void run_undelete(World&, Machine& machine) {
    undelete(machine, app, {});
}
void run_hold(World&, Machine& machine) {
    hold(machine, app, {});
}
void run_recover(World&, Machine& machine) {
    recover(machine, app, {});
}
void run_backup(World& world, Machine& machine) {
    backup(machine, app, {world.backup_file(), -1, {}, 1});
}
void run_replace_with(World& world, Machine& machine, RestoreRequest request) {
    const FileDescriptor file(open(world.backup_file().c_str(), O_RDONLY | O_CLOEXEC));
    request.input = file.get();
    request.replace = true;
    restore(machine, request);
}
void run_replace(World& world, Machine& machine) {
    run_replace_with(world, machine, {});
}
void run_replace_image(World& world, Machine& machine) {
    RestoreRequest request;
    request.image = world.reference();
    request.partial = true;  // the new image declares a volume more
    run_replace_with(world, machine, request);
}
void run_backup_stopped(World& world, Machine& machine) {
    BackupRequest request{world.backup_file(), -1, {}, 1};
    request.containers = WhileReading::stopped;
    backup(machine, app, request);
}
void run_backup_paused(World& world, Machine& machine) {
    BackupRequest request{world.backup_file(), -1, {}, 1};
    request.containers = WhileReading::paused;
    backup(machine, app, request);
}
void run_restore(World& world, Machine& machine) {
    const FileDescriptor file(open(world.backup_file().c_str(), O_RDONLY | O_CLOEXEC));
    RestoreRequest request;
    request.input = file.get();
    request.name = copy;
    restore(machine, request);
}

const std::vector<Operation> operations{
    {"install", nothing, run_install},
    {"update", outdated, run_update},
    {"second update", updated_once, run_update},
    {"backup", installed, run_backup},
    {"restore", backed_up, run_restore},
    {"recover", scripts_lost, run_recover},
    {"uninstall", installed, run_uninstall},
    {"obliterate", installed, run_obliterate},
    {"backup --stop", installed, run_backup_stopped},
    {"backup --pause", installed, run_backup_paused},
    {"restore --replace", moved_on, run_replace},
    {"restore --replace --image", moved_on_with_new_image, run_replace_image},
    {"restore --replace of kept volumes", only_volumes_left, run_replace},
    {"purge", installed, run_purge},
    {"undelete", obliterated, run_undelete},
    {"hold", installed, run_hold},
    {"obliterate of volumes", uninstalled, run_obliterate},
    {"rollback", updated_and_used, run_rollback},
    {"rollback with data", updated_and_used, run_rollback_with_data},
    {"configure", installed, run_configure},
    {"update of settings", reconfigured, run_update},
    {"secret set", installed, run_secret_set},
    {"secret set anew", with_secret, run_secret_set},
    {"secret rm", with_secret, run_secret_rm},
    {"restore of secrets", backed_up_with_secret, run_restore_secrets},
    {"restore --replace of secrets", backed_up_with_secret, run_replace_secrets},
    {"uninstall with secrets", with_secret, run_uninstall},
    {"obliterate with secrets", with_secret, run_obliterate},
    {"undelete with secrets", obliterated_with_secret, run_undelete},
    {"streamed install", nothing, run_install, true},
    {"streamed update", outdated, run_update, true},
    {"streamed backup", installed, run_backup, true},
    {"streamed backup --stop", installed, run_backup_stopped, true},
    {"streamed restore", backed_up, run_restore, true},
    {"streamed recover", scripts_lost, run_recover, true},
    {"streamed obliterate", installed, run_obliterate, true},
    {"streamed restore --replace", moved_on, run_replace, true},
    {"streamed restore --replace --image", moved_on_with_new_image, run_replace_image, true},
    {"streamed undelete", obliterated, run_undelete, true},
    {"streamed rollback with data", updated_and_used, run_rollback_with_data, true},
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

// Fails and kills every step, and demands the old state or the new one.
void break_every_step(const std::vector<Operation>& tried) {
    Sampling sampling;
    std::size_t cases = 0;
    for (const Operation& operation : tried) {
        const Expected expected = without_faults(operation);
        REQUIRE(expected.before != expected.after);
        std::set<std::string> covered;
        for (std::size_t step = 0; step < expected.steps.size(); ++step) {
            for (const Fault fault :
                 {Fault::fail_before, Fault::fail_after, Fault::kill_before, Fault::kill_after}) {
                if (!sampling.takes()) {
                    continue;
                }
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

}  // namespace

TEST_CASE("every step of every operation, failed and killed, leaves the old state or the new") {
    break_every_step(operations);
}

TEST_CASE("the same of what protects data, where the file system clones files") {
    const ReflinkDisk disk;
    if (disk.path().empty()) {
        MESSAGE("no XFS can be mounted here: snapshots by clones are not tested");
        return;
    }
    const char* const before = getenv("TMPDIR");
    setenv("TMPDIR", disk.path().c_str(), 1);
    std::vector<Operation> protecting;
    std::copy_if(operations.begin(), operations.end(), std::back_inserter(protecting),
                 [](const Operation& operation) {
                     return operation.name == "update" || operation.name == "recover" ||
                            operation.name.starts_with("rollback");
                 });
    break_every_step(protecting);
    before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", before, 1);
}

TEST_CASE("every engine call of every operation, failed before and after its effect") {
    Sampling sampling;
    std::size_t cases = 0;
    for (const Operation& operation : operations) {
        const Expected expected = without_faults(operation);
        for (std::size_t number = 0; number < expected.engine_calls; ++number) {
            for (const bool before_effect : {true, false}) {
                if (!sampling.takes()) {
                    continue;
                }
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

TEST_CASE("a recovery that fails half-way is done by the next one") {
    Sampling sampling;
    std::size_t cases = 0;
    for (const Operation& operation : operations) {
        const Expected expected = without_faults(operation);
        const auto commit = std::find(expected.steps.begin(), expected.steps.end(), "commit");
        const auto last = static_cast<std::size_t>(commit - expected.steps.begin());
        bool reached = true;
        for (std::size_t number = 0; reached; ++number) {
            if (!sampling.takes()) {
                continue;
            }
            World world;
            operation.prepare(world);
            Breaker breaker(last, Fault::kill_before);
            Machine machine = world.machine(&breaker);
            CHECK_THROWS_AS(operation.run(world, machine), Killed);
            std::size_t count = 0;
            reached = false;
            world.engine().observe([&](const std::string&, bool before) {
                if (before && count++ >= number) {
                    reached = true;
                    throw Error(ErrorKind::engine_unreachable, "the engine went away");
                }
            });
            Machine recovering = world.machine();
            recover_all(recovering);
            world.engine().observe({});
            // An engine that is away keeps what drunner looked for its volumes with.
            for (const Volume& volume : world.engine().list_volumes(
                     {.labels = {std::string(label::scratch)}, .name = {}, .volume = {}})) {
                world.engine().remove_volume(volume.name);
            }
            INFO(operation.name << ": recovered without the engine from call " << number << " on");
            recover_everything(world);
            check_old_or_new(world, expected);
            ++cases;
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
        {operations[8], "backupend"}, {operations[9], "backupstart"},
        {operations[10], "restore"},  {operations[11], "updatestart"},
        {operations[11], "restore"},  {operations[11], "updateend"},
        {operations[12], "install"},  {operations[12], "restore"},
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

TEST_CASE("a final backup that cannot be made keeps everything, and names --purge") {
    const auto refuses = [](World& world) {
        const std::vector<std::string> before = world.state();
        Machine machine = world.machine();
        try {
            obliterate(machine, app);
            FAIL("it must fail");
        } catch (const Error& error) {
            CHECK(error.next() == "drunner obliterate app --purge");
        }
        CHECK(difference(before, world.state()) == "");
        obliterate(machine, app, {true});
        CHECK(world.engine().list_volumes({}).empty());
        CHECK(list_deleted(machine).empty());
    };
    SUBCASE("backupstart fails") {
        World world;
        installed(world);
        make_directories(Paths(world.prefix()).undelete());
        world.scripts().failing = "backupstart";
        refuses(world);
    }
    SUBCASE("the manifest is lost") {
        World world;
        installed(world);
        remove_tree(Paths(world.prefix()).manifest(app));
        refuses(world);
    }
    SUBCASE("the engine's answer with a volume that must be streamed ends early") {
        World world;
        world.stream_volumes();
        installed(world);
        make_directories(Paths(world.prefix()).undelete());
        world.engine().observe([&](const std::string& call, bool before) {
            if (!before && call.starts_with("read_archive drunner-volumes-")) {
                throw Error(ErrorKind::engine_refused, "the container engine's answer ended early");
            }
        });
        refuses(world);
    }
}

TEST_CASE("undelete brings back the newest, of volumes alone too, and keeps the file until then") {
    World world;
    uninstalled(world);
    Machine machine = world.machine();
    const RemovalResult removed = obliterate(machine, app);
    REQUIRE(list_deleted(machine).size() == 1);
    CHECK(list_deleted(machine).front().file == removed.final_backup);
    // Its files were gone, so nothing told the image.
    CHECK_THROWS_AS(undelete(machine, app, {}), Error);
    CHECK(list_deleted(machine).size() == 1);
    undelete(machine, app, {{}, {}, world.reference(), false});
    CHECK(list_deleted(machine).empty());
    CHECK(read_file(world.engine().find_volume("drunner-app-data")->mountpoint + "/mine") ==
          "my data\n");
    CHECK_THROWS_AS(undelete(machine, app, {}), Error);
}

TEST_CASE("final backups go when their time is over, and none is made where none is wanted") {
    World world;
    installed(world);
    Machine machine = world.machine();
    const std::string old = machine.paths.undelete() + "/other-20200101T000000Z.tar.zst";
    make_directories(machine.paths.undelete());
    create_file(old, "");
    create_file(machine.paths.undelete() + "/README", "mine");
    machine.config.undelete_age = {};
    CHECK(obliterate(machine, app).final_backup.empty());
    CHECK(directory_entries(machine.paths.undelete()) == std::vector<std::string>{"README"});
}

TEST_CASE("update of all: one that fails, one on hold and one that failed before stop nothing") {
    World world;
    Machine machine = world.machine();
    const ServiceName held("held");
    install(machine, {world.reference(), app, {}});
    install(machine, {world.reference(), copy, {}});
    install(machine, {world.reference(), held, {}});
    CHECK(hold(machine, held, std::chrono::hours(12)).outcome == Outcome::changed);
    CHECK(hold(machine, copy, {}).outcome == Outcome::changed);
    CHECK(hold(machine, copy, {}).outcome == Outcome::unchanged);
    CHECK(release_hold(machine, copy).outcome == Outcome::changed);
    CHECK(release_hold(machine, copy).outcome == Outcome::unchanged);
    world.build(2);
    remove_tree(machine.paths.servicerunner(copy));
    const auto verdicts = [](const std::vector<ServiceUpdate>& updates) {
        std::vector<UpdateVerdict> words;
        for (const ServiceUpdate& one : updates) {
            words.push_back(one.verdict);
        }
        return words;
    };
    using Verdicts = std::vector<UpdateVerdict>;
    world.scripts().failing = "updateend";
    CHECK(verdicts(update_all(machine)) ==
          Verdicts{UpdateVerdict::failed, UpdateVerdict::failed, UpdateVerdict::held});
    world.scripts().failing.clear();
    CHECK(verdicts(update_all(machine)) ==
          Verdicts{UpdateVerdict::failed_before, UpdateVerdict::failed, UpdateVerdict::held});
    CHECK(verdicts(update_each(machine, {held, app}, Attendance::unattended)) ==
          Verdicts{UpdateVerdict::held, UpdateVerdict::failed_before});
    CHECK(verdicts(update_each(machine, {copy, held, app}, Attendance::attended)) ==
          Verdicts{UpdateVerdict::failed, UpdateVerdict::updated, UpdateVerdict::updated});
    CHECK(verdicts(update_all(machine)) ==
          Verdicts{UpdateVerdict::unchanged, UpdateVerdict::failed, UpdateVerdict::held});
}

TEST_CASE("doctor tells a killed operation, and with --fix finishes or undoes it") {
    for (const Operation& operation : {operations[1], operations[7]}) {
        const Expected expected = without_faults(operation);
        for (std::size_t step = 0; step < expected.steps.size(); ++step) {
            INFO(operation.name << ": killed after step " << step << " '" << expected.steps[step]
                                << "'");
            World world;
            operation.prepare(world);
            Breaker breaker(step, Fault::kill_after);
            Machine machine = world.machine(&breaker);
            CHECK_THROWS_AS(operation.run(world, machine), Killed);
            Machine another = world.machine();
            another.caller_path += ":" + another.config.launcher_directory;
            const std::vector<std::string> killed = world.state();
            const std::vector<DoctorFinding> told = doctor(another, {});
            REQUIRE_FALSE(told.empty());
            CHECK(told.front().check == "unfinished");
            CHECK(difference(killed, world.state()) == "");
            for (const DoctorFinding& finding : doctor(another, {{}, true})) {
                INFO(finding.check << " " << finding.what);
                CHECK(finding.state == DoctorFinding::State::mended);
            }
            check_old_or_new(world, expected);
            CHECK(doctor(another, {}).empty());
        }
    }
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

TEST_CASE("restore --replace brings back the data of the backup, and only that") {
    World world;
    moved_on(world);
    const std::string id = world.engine().find_container("app")->id;
    Machine machine = world.machine();
    run_replace(world, machine);
    const std::string data = world.engine().find_volume("drunner-app-data")->mountpoint;
    const std::string extra = world.engine().find_volume("drunner-app-extra")->mountpoint;
    CHECK(read_file(data + "/mine") == "my data\n");
    CHECK(exists(data + "/restored"));
    CHECK_FALSE(exists(extra + "/newer"));
    CHECK(directory_entries(parent_of(data)) == std::vector<std::string>{"_data"});
    // The same container runs again, on the same release.
    CHECK(world.engine().find_container(id)->state == "running");
    CHECK(Catalog(machine.paths).load(app).current == 1);
    CHECK(examine(machine, app).whole());
}

TEST_CASE("restore --replace: a damaged backup is found before the data changes places") {
    World world;
    moved_on(world);
    std::string bytes = read_file(world.backup_file());
    bytes.pop_back();
    write_file(world.backup_file(), bytes);
    const std::vector<std::string> before = world.state();
    Machine machine = world.machine();
    const std::size_t hooks = world.scripts().called.size();
    CHECK_THROWS_AS(run_replace(world, machine), Error);
    CHECK(difference(before, world.state()) == "");
    CHECK(world.scripts().called.size() == hooks);
}

TEST_CASE("restore --replace with an image makes a release, with the hooks of an update") {
    World world;
    moved_on_with_new_image(world);
    Machine machine = world.machine();
    const std::size_t hooks = world.scripts().called.size();
    run_replace_image(world, machine);
    const Manifest manifest = Catalog(machine.paths).load(app);
    CHECK(manifest.current == 2);
    CHECK(manifest.previous == 1);
    CHECK(manifest.volumes.size() == 3);
    CHECK(std::vector<std::string>(
              world.scripts().called.begin() + static_cast<std::ptrdiff_t>(hooks),
              world.scripts().called.end()) ==
          std::vector<std::string>{"updatestart", "restore", "updateend"});
    CHECK(examine(machine, app).whole());
}

TEST_CASE("restore --replace: a stranger's running container on a volume is refused") {
    World world;
    moved_on(world);
    ContainerSpec spec;
    spec.name = "stranger";
    spec.image = "app";
    spec.mounts = {{"drunner-app-data", "/data", false}};
    world.engine().start_container(world.engine().create_container(spec));
    const std::vector<std::string> before = world.state();
    Machine machine = world.machine();
    CHECK_THROWS_WITH_AS(run_replace(world, machine), doctest::Contains("stranger"), Error);
    CHECK(difference(before, world.state()) == "");
}

TEST_CASE("backup --stop and --pause: nothing runs while volumes are read, all of it after") {
    for (const WhileReading containers : {WhileReading::stopped, WhileReading::paused}) {
        World world;
        installed(world);
        // One that backupstart does not touch.
        ContainerSpec spec;
        spec.name = "app-worker";
        spec.image = "app";
        spec.labels = {{label::service, "app"}};
        world.engine().start_container(world.engine().create_container(spec));
        std::vector<std::string> states;
        class Watcher : public TransactionObserver {
          public:
            explicit Watcher(std::function<void()> look) : look_(std::move(look)) {}
            void before(std::string_view step) override {
                if (step == "make-path" && ++paths_ == 2) {
                    look_();
                }
            }
            void after(std::string_view) override {}

          private:
            std::function<void()> look_;
            int paths_ = 0;
        } watcher([&] {
            for (const char* name : {"app", "app-worker"}) {
                states.push_back(world.engine().find_container(name)->state);
            }
        });
        Machine machine = world.machine(&watcher);
        BackupRequest request{world.backup_file(), -1, {}, 1};
        request.containers = containers;
        backup(machine, app, request);
        const std::string state = containers == WhileReading::stopped ? "exited" : "paused";
        CHECK(states == std::vector<std::string>{state, state});
        CHECK(world.engine().find_container("app")->state == "running");
        CHECK(world.engine().find_container("app-worker")->state == "running");
    }
}

TEST_CASE("an embedded image is loaded where the engine lacks it, and left alone where it has it") {
    World world;
    installed(world);
    Machine machine = world.machine();
    BackupRequest request{world.backup_file(), -1, {}, 1};
    request.with_image = true;
    backup(machine, app, request);
    const std::string id = world.engine().find_image("app")->id;
    const auto loads = [&] {
        const std::vector<std::string> calls = world.engine().calls();
        return std::count_if(calls.begin(), calls.end(), [](const std::string& call) {
            return call.starts_with("load_image");
        });
    };
    run_restore(world, machine);
    CHECK(loads() == 0);
    obliterate(machine, copy);
    obliterate(machine, app);
    world.engine().prune_images();
    REQUIRE_FALSE(world.engine().find_image(id));
    run_restore(world, machine);
    CHECK(loads() == 1);
    CHECK(Catalog(machine.paths).load(copy).release().image_id == id);
    CHECK(examine(machine, copy).whole());
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
