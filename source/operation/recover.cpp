#include <algorithm>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/drill.hpp"
#include "operation/image_test.hpp"
#include "operation/install_steps.hpp"
#include "operation/journal.hpp"
#include "operation/operations.hpp"
#include "operation/release_plan.hpp"
#include "operation/review.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"
#include "service/secrets.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

// What is left of the installation, from whichever place still tells.
struct Remains {
    std::optional<Manifest> manifest;
    std::string reference;
    std::string image_id;
};

Remains find_remains(Machine& machine, const ServiceName& name) {
    Remains remains;
    try {
        remains.manifest = Catalog(machine.paths).find(name);
    } catch (const Error& error) {
        machine.progress.warning(error.what());
    }
    if (remains.manifest) {
        remains.reference = remains.manifest->release().reference;
        remains.image_id = remains.manifest->release().image_id;
        return remains;
    }
    const std::optional<Container> keep = machine.engine.find_container(keep_container(name));
    if (keep && exists(machine.paths.installation_id())) {
        const auto owner = keep->labels.find(label::installation);
        const auto reference = keep->labels.find("drunner.reference");
        if (owner != keep->labels.end() && owner->second == installation_id(machine) &&
            reference != keep->labels.end()) {
            remains.reference = reference->second;
            remains.image_id = keep->image_id;
        }
    }
    return remains;
}

// The installed image where the engine still has it: recovery mends, it does not update.
ImageChoice image_to_recover(Machine& machine, const Remains& remains,
                             const std::optional<ImageReference>& wanted) {
    if (wanted) {
        return choose_image(machine, {*wanted, machine.config.pull, {}, {}});
    }
    if (auto image = machine.engine.find_image(remains.image_id)) {
        return {std::move(*image), false};
    }
    machine.progress.warning("the installed image is gone; what '" + remains.reference +
                             "' names now is used");
    return choose_image(machine, {ImageReference(remains.reference), machine.config.pull, {}, {}});
}

}  // namespace

Outcome recover(Machine& machine, const ServiceName& name, const RecoverRequest& request) {
    const ServiceSession session(machine, name, ServiceSession::Use::recovery_counts);
    if (session.is_unfinished()) {
        return Outcome::changed;
    }
    const Remains remains = find_remains(machine, name);
    if (remains.reference.empty() && !request.image) {
        if (session.recovered()) {
            return Outcome::changed;
        }
        if (!exists(machine.paths.service(name))) {
            Catalog(machine.paths).load(name);  // says that it is not installed
        }
        throw Error(ErrorKind::broken,
                    "nothing tells any more which image '" + name.text() + "' was installed from",
                    "drunner recover " + name.text() + " IMAGE");
    }
    if (remains.manifest && !request.image && !request.move_host) {
        require_own_engine(machine, *remains.manifest);
        if (examine(machine, name).whole()) {
            return session.recovered() ? Outcome::changed : Outcome::unchanged;
        }
    }

    const ImageReference reference =
        request.image ? *request.image : ImageReference(remains.reference);
    const ImageChoice choice = image_to_recover(machine, remains, request.image);
    InspectedImage inspected = inspect_image(machine, name, choice.image, reference.text());
    if (!inspected.config_known && remains.manifest) {
        inspected.config = remains.manifest->release().config;
    }
    Manifest manifest = remains.manifest ? *remains.manifest : new_manifest(machine, name);
    manifest.engine_socket = machine.engine_socket;
    if (!remains.manifest) {
        manifest.secrets = SecretStore(machine.paths.secrets(name)).names();
    }
    const int number = next_release_number(machine, manifest);
    Release release =
        plan_release(machine, inspected, reference, number, pull_policy_of(machine, manifest.pull),
                     nullptr, manifest.pulled);
    VolumePlan volumes = plan_volumes(machine, name, manifest.installation, release.config.volumes,
                                      manifest.volumes, request.empty);
    const std::vector<Release> old_releases = manifest.releases;
    std::vector<ManagedVolume> existing;
    std::copy_if(volumes.all.begin(), volumes.all.end(), std::back_inserter(existing),
                 [&](const ManagedVolume& volume) {
                     return std::find(volumes.to_make.begin(), volumes.to_make.end(), volume) ==
                            volumes.to_make.end();
                 });
    const std::vector<int> old_numbers = release_numbers(machine, manifest);
    manifest.volumes = volumes.all;
    manifest.releases = {release};
    manifest.current = number;
    manifest.previous = 0;
    adopt_settings(manifest);

    const bool launcher_lost = !is_launcher(manifest.launcher);
    if (launcher_lost) {
        require_free_name(machine, name);
    }
    const SnapshotPlan plan = plan_snapshot(machine, existing, release.image_id);
    tell_facts(machine, name, remains.manifest ? facts_of(*remains.manifest) : Facts(),
               facts_of(manifest));
    if (inspected.files_known) {
        tell_scripts(machine, name,
                     remains.manifest ? release_files(machine, name, remains.manifest->current)
                                      : ImageFiles(),
                     inspected.files);
    }
    if (machine.check) {
        return Outcome::changed;
    }
    transact(machine, name, "recover", [&](Transaction& transaction) {
        transaction.perform(remember_containers(machine, name));
        if (exists(machine.paths.servicerunner(name))) {
            const int version =
                old_releases.empty() ? release.config.version : old_releases.back().config.version;
            run_tolerant_hook(machine, name, transaction.journal(),
                              {Hook::uninstall, version, {}, "recover"});
        }
        // The `install` hook below makes them anew; where `uninstall` is lost or failed they would
        // be in its way.
        remove_containers(machine, name);
        protect_data(machine, transaction, name, plan, 0);
        renew_temp_directory(machine, transaction, name);
        transaction.perform(write_release(machine, manifest, release, inspected.files));
        transaction.perform(pin_image(machine, name, release));
        for (const ManagedVolume& volume : volumes.to_make) {
            transaction.perform(make_volume(machine, manifest, volume, transaction.id()));
        }
        if (!volumes.to_make.empty()) {
            transaction.perform(
                fill_new_volumes(machine, release, volumes.to_make, transaction.id()));
        }
        transaction.perform(link_release(machine, name, number));
        transaction.perform(write_manifest(machine, manifest));
        if (launcher_lost) {
            transaction.perform(make_launcher(machine, manifest.launcher));
        }
        transaction.perform(run_hook(machine, name, transaction.journal(),
                                     {Hook::install, release.config.version, {}, "recover"}));
        perform_selftest(machine, transaction, manifest, "recover");
        transaction.after_commit(settling_keep());
        for (const int old : old_numbers) {
            transaction.after_commit(removing_pin(old));
            transaction.after_commit(removing_data(machine.paths.kept_data(name, old)));
            transaction.after_commit(removing_path(machine.paths.release(name, old)));
        }
    });
    return Outcome::changed;
}

RecoverAllResult recover_all(Machine& machine) {
    RecoverAllResult result;
    for (const ServiceName& name : Catalog(machine.paths).names()) {
        try {
            if (read_journals(machine.paths, name).empty() && !has_litter(machine.paths, name)) {
                continue;
            }
            if (ServiceSession(machine, name, ServiceSession::Use::recovery_counts).recovered()) {
                result.recovered.push_back(name.text());
            }
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            result.failures.push_back(name.text() + ": " + error.what());
        }
    }
    for (const std::string& name : remove_abandoned_drills(machine)) {
        result.recovered.push_back(name);
        tell_change(machine, "the scratch service of a drill, '" + name + "', goes");
    }
    for (const std::string& id : remove_abandoned_tests(machine)) {
        result.recovered.push_back("test " + id);
        tell_change(machine, "what the test '" + id + "' left goes");
    }
    return result;
}

}  // namespace drunner
