#include "operation/test_prefix.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "host/process.hpp"
#include "operation/image_test.hpp"
#include "operation/volumes.hpp"

namespace drunner {
namespace {

constexpr std::size_t id_digits = 8;
constexpr std::array service_letters{'a', 'b', 'c', 'd'};
constexpr std::chrono::seconds command_limit{1800};
constexpr std::size_t most_output = 64U << 10U;
constexpr std::string_view stranger_text = "a stranger's\n";

ServiceName service_of(const std::string& id, char letter) {
    return ServiceName("test-" + id + "-" + letter);
}

// Names that begin like those of the first service.
std::string stranger_container(const std::string& id) {
    return service_of(id, 'a').text() + "x";
}
std::string stranger_volume(const std::string& id) {
    return "drunner-" + stranger_container(id) + "-data";
}
std::string failing_tag(const std::string& id) {
    return "localhost/drunner-test:" + id;
}
std::string prefix_of(const Machine& machine, const std::string& id) {
    return machine.paths.tests() + "/" + id;
}
// '+' is in no service's name.
std::string lock_of(const Machine& machine, const std::string& id) {
    return machine.paths.locks() + "/test+" + id + ".lock";
}

std::vector<std::string> stranger_files(const Paths& paths, const std::string& id) {
    return {paths.prefix() + "/etc/stranger",
            paths.default_launcher_directory() + "/" + stranger_container(id),
            paths.services() + "-stranger"};
}

std::string config_text(const Machine& machine) {
    return "PULL=missing\nHEALTHUPTIME=1s\nUNDELETEDAYS=0\nHOOKENV='" +
           join(machine.config.hook_env, " ") + "'\n";
}

// The caller's, but for what says where things are.
std::vector<std::string> environment_for(const Machine& machine, const std::string& prefix) {
    std::vector<std::string> variables{"DRUNNER_PREFIX=" + prefix,
                                       "DOCKER_HOST=unix://" + machine.engine_socket};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        const std::string_view name = text.substr(0, text.find('='));
        if (name != "DRUNNER_PREFIX" && name != "DOCKER_HOST" && name != "DOCKER_CONTEXT" &&
            name != "PASS") {
            variables.emplace_back(text);
        }
    }
    return variables;
}

TestPrefix::Ran run_in(const Machine& machine, const std::string& prefix,
                       std::vector<std::string> arguments) {
    TestPrefix::Ran ran;
    const BoundedResult result =
        run_bounded({std::move(arguments),
                     environment_for(machine, prefix),
                     "/",
                     command_limit,
                     [&](std::string_view bytes) {
                         ran.output += bytes;
                         if (ran.output.size() > 2 * most_output) {
                             ran.output.erase(0, ran.output.size() - most_output);
                         }
                     },
                     {}});
    ran.status = result.status;
    if (result.timed_out) {
        ran.output += "\nit did not end within " + std::to_string(command_limit.count()) + " s\n";
    }
    return ran;
}

// Everything of a test, however far it came. Answers what could not be removed.
std::vector<std::string> sweep(Machine& machine, const std::string& id) {
    const std::string prefix = prefix_of(machine, id);
    std::vector<std::string> failures;
    const auto attempt = [&](const auto& removal) {
        try {
            removal();
        } catch (const Error& error) {
            failures.emplace_back(error.what());
        }
    };
    for (const char letter : service_letters) {
        attempt([&] {
            const ServiceName name = service_of(id, letter);
            const TestPrefix::Ran ran = run_in(
                machine, prefix, {machine.drunner_binary, "obliterate", "--purge", name.text()});
            if (ran.status != 0 && ran.status != 3) {
                throw Error(ErrorKind::system,
                            "cannot obliterate '" + name.text() + "'" + quoted_lines(ran.output));
            }
        });
    }
    attempt([&] { machine.engine.remove_container(stranger_container(id)); });
    attempt([&] { machine.engine.remove_volume(stranger_volume(id)); });
    attempt([&] { machine.engine.remove_image(failing_tag(id)); });
    if (failures.empty()) {
        attempt([&] { remove_tree(prefix); });
    }
    return failures;
}

}  // namespace

TestPrefix::TestPrefix(Machine& machine, const std::string& image_id)
    : machine_(machine),
      id_(random_id().substr(0, id_digits)),
      lock_(FileLock::acquire(lock_of(machine, id_), machine.command_line, machine.lock_wait)),
      paths_(prefix_of(machine, id_)) {
    try {
        make_directories(machine.paths.tests());
        make_directories(paths_.default_launcher_directory());
        make_directories(parent_of(paths_.config_file()));
        write_file(paths_.config_file(), config_text(machine));
        make_directories(paths_.state());
        make_stranger(image_id);
    } catch (...) {
        const CancellationShield shield;
        sweep(machine_, id_);
        unlink(lock_of(machine_, id_).c_str());
        throw;
    }
}

TestPrefix::~TestPrefix() {
    const CancellationShield shield;
    for (const std::string& failure : sweep(machine_, id_)) {
        machine_.progress.warning("the test left something behind: " + failure);
    }
    unlink(lock_of(machine_, id_).c_str());
}

ServiceName TestPrefix::service(char letter) const {
    return service_of(id_, letter);
}

std::string TestPrefix::failing_image() const {
    return failing_tag(id_);
}

TestPrefix::Ran TestPrefix::run(std::vector<std::string> arguments) const {
    return run_in(machine_, paths_.prefix(), std::move(arguments));
}

TestPrefix::Ran TestPrefix::drunner(std::vector<std::string> words) const {
    words.insert(words.begin(), machine_.drunner_binary);
    return run(std::move(words));
}

TestPrefix::Ran TestPrefix::launcher(const ServiceName& name,
                                     std::vector<std::string> words) const {
    words.insert(words.begin(), paths_.default_launcher_directory() + "/" + name.text());
    return run(std::move(words));
}

TestPrefix::Ran TestPrefix::program(std::vector<std::string> words) const {
    words.insert(words.begin(), "/usr/bin/env");
    return run(std::move(words));
}

void TestPrefix::make_stranger(const std::string& image_id) {
    for (const std::string& file : stranger_files(paths_, id_)) {
        write_file(file, stranger_text);
    }
    machine_.engine.create_volume(stranger_volume(id_), {});
    write_file(VolumeAccess(machine_).directory(stranger_volume(id_)) + "/stranger", stranger_text);
    ContainerSpec spec;
    spec.name = stranger_container(id_);
    spec.image = image_id;
    spec.command = {"true"};
    machine_.engine.create_container(spec);
}

void TestPrefix::require_stranger_whole() const {
    std::vector<std::string> lost;
    std::vector<std::string> files = stranger_files(paths_, id_);
    if (machine_.engine.find_volume(stranger_volume(id_))) {
        files.push_back(VolumeAccess(machine_).directory(stranger_volume(id_)) + "/stranger");
    } else {
        lost.push_back("volume '" + stranger_volume(id_) + "'");
    }
    for (const std::string& file : files) {
        if (file_type(file) != FileType::regular || read_file(file) != stranger_text) {
            lost.push_back("'" + file + "'");
        }
    }
    const auto container = machine_.engine.find_container(stranger_container(id_));
    if (!container || container->state != "created") {
        lost.push_back("container '" + stranger_container(id_) + "'");
    }
    if (!lost.empty()) {
        throw Error(ErrorKind::broken, "a stranger's were touched: " + join(lost, ", "));
    }
}

void TestPrefix::require_nothing_left() const {
    std::vector<std::string> left;
    const auto look_at = [&](std::string_view kind, const std::string& name,
                             std::string_view from) {
        const bool ours =
            std::any_of(service_letters.begin(), service_letters.end(), [&](char letter) {
                const std::string start = std::string(from) + service_of(id_, letter).text();
                return name == start || (name.starts_with(start) && name[start.size()] != 'x');
            });
        if (ours) {
            left.push_back(std::string(kind) + " '" + printable(name) + "'");
        }
    };
    for (const ContainerSummary& one : machine_.engine.list_containers({})) {
        look_at("container", one.name, "");
        look_at("container", one.name, "drunner-keep-");
    }
    for (const Volume& one : machine_.engine.list_volumes({})) {
        look_at("volume", one.name, "drunner-");
        look_at("volume", one.name, "");
    }
    for (const Network& one : machine_.engine.list_networks({})) {
        look_at("network", one.name, "");
    }
    for (const ImageTag& one : machine_.engine.list_tags(pin_repository)) {
        look_at("tag", one.reference, std::string(pin_repository) + ":");
    }
    for (const std::string& directory :
         {paths_.services(), paths_.default_launcher_directory(), paths_.backups()}) {
        for (const std::string& entry : directory_entries(directory)) {
            look_at("file", entry, "");
        }
    }
    if (!left.empty()) {
        throw Error(ErrorKind::broken, "left behind: " + join(left, ", "));
    }
}

std::vector<std::string> remove_abandoned_tests(Machine& machine) {
    std::vector<std::string> removed;
    for (const std::string& id : directory_entries(machine.paths.tests())) {
        const std::string lock = lock_of(machine, id);
        if (!FileLock::holder(lock).empty()) {
            continue;
        }
        if (machine.check) {
            removed.push_back(id);
            continue;
        }
        const CancellationShield shield;
        const std::vector<std::string> failures = sweep(machine, id);
        if (failures.empty()) {
            unlink(lock.c_str());
            removed.push_back(id);
        } else {
            machine.progress.warning("a test left something behind: " + failures.front());
        }
    }
    return removed;
}

}  // namespace drunner
