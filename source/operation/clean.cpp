#include <charconv>
#include <map>
#include <set>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/drill.hpp"
#include "operation/final_backup.hpp"
#include "operation/image_test.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"

namespace drunner {
namespace {

constexpr std::int64_t scratch_age_seconds = 3600;

std::int64_t seconds_now(Machine& machine) {
    return std::chrono::duration_cast<std::chrono::seconds>(machine.clock.now().time_since_epoch())
        .count();
}

// Scratch containers live for seconds; one that is an hour old belongs to a drunner that died.
void clean_scratch(Machine& machine, CleanResult& result) {
    for (const ContainerSummary& container :
         machine.engine.list_containers({.labels = {label::scratch}, .name = {}, .volume = {}})) {
        if (seconds_now(machine) - container.created >= scratch_age_seconds &&
            (machine.check || machine.engine.remove_container(container.id))) {
            result.removed.push_back("container '" + container.name + "'");
        }
    }
    for (const Volume& volume :
         machine.engine.list_volumes({.labels = {label::scratch}, .name = {}, .volume = {}})) {
        if (machine.check || machine.engine.remove_volume(volume.name)) {
            result.removed.push_back("volume '" + volume.name + "'");
        }
    }
}

// Releases that the manifest does not name, with their pins, and all data that is kept for a
// rollback.
void clean_releases(Machine& machine, const ServiceName& name, CleanResult& result) {
    const ServiceSession session(machine, name);
    const std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
    if (!manifest || !same_socket(manifest->engine_socket, machine.engine_socket)) {
        return;
    }
    for (const std::string& entry : directory_entries(machine.paths.releases(name))) {
        if (const std::string kept = machine.paths.releases(name) + "/" + entry + "/data";
            exists(kept)) {
            if (!machine.check) {
                remove_kept_data(kept);
            }
            result.removed.push_back("data kept of release " + entry + " of '" + name.text() + "'");
        }
        int number = 0;
        const auto [end, error] =
            std::from_chars(entry.data(), entry.data() + entry.size(), number);
        if (error != std::errc() || end != entry.data() + entry.size() ||
            manifest->find_release(number) != nullptr) {
            continue;
        }
        if (!machine.check) {
            remove_pin(machine, name, number);
            remove_tree(machine.paths.release(name, number));
        }
        result.removed.push_back("release " + entry + " of '" + name.text() + "'");
    }
}

}  // namespace

CleanResult clean(Machine& machine) {
    CleanResult result;
    clean_scratch(machine, result);
    for (const std::string& name : remove_abandoned_drills(machine)) {
        result.removed.push_back("the scratch service of a drill, '" + name + "'");
    }
    for (const std::string& id : remove_abandoned_tests(machine)) {
        result.removed.push_back("what the test '" + id + "' left");
    }
    for (const ServiceName& name : Catalog(machine.paths).names()) {
        try {
            clean_releases(machine, name, result);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::broken && error.kind() != ErrorKind::locked) {
                throw;
            }
            machine.progress.warning(error.what());
        }
    }
    for (const std::string& file : remove_expired(machine)) {
        result.removed.push_back("final backup '" + file + "'");
    }
    for (const std::string& removed : result.removed) {
        tell_change(machine, removed + " goes");
    }
    result.outcome = result.removed.empty() ? Outcome::unchanged : Outcome::changed;
    return result;
}

}  // namespace drunner
