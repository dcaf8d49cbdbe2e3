#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/install_steps.hpp"
#include "operation/operations.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/volumes.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

// The image by id or digest where the engine has it or the registry gives it, else what the
// reference names now; `--image` decides over all.
struct RestoreImage {
    ImageReference reference;
    ImageChoice choice;
};

RestoreImage image_for(Machine& machine, const BackupHeader& header,
                       const RestoreRequest& request) {
    if (request.image) {
        return {*request.image,
                choose_image(machine, {*request.image, machine.config.pull, {}, {}})};
    }
    const ImageReference reference(header.image_reference);
    if (auto image = machine.engine.find_image(header.image_id)) {
        return {reference, {std::move(*image), false}};
    }
    if (!header.image_digest.empty() && machine.config.pull != PullPolicy::never) {
        const ImageReference exact(reference.familiar_repository() + "@" + header.image_digest);
        try {
            return {reference, choose_image(machine, {exact, PullPolicy::missing, {}, {}})};
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) {
                throw;
            }
            machine.progress.detail(error.what());
        }
    }
    ImageChoice choice = choose_image(machine, {reference, machine.config.pull, {}, {}});
    machine.progress.warning("the image of the backup (" + printable(header.image_id) +
                             ") is not to be had; what '" + reference.text() +
                             "' names now is used");
    return {reference, std::move(choice)};
}

// The volumes to fill: archive path -> volume name. A path that only one side has is an error,
// unless the operator said partial.
std::map<std::string, std::string> match_volumes(Machine& machine, const BackupHeader& header,
                                                 const Manifest& manifest, bool partial) {
    std::map<std::string, std::string> matched;
    std::vector<std::string> unmatched;
    for (const ManagedVolume& volume : manifest.volumes) {
        const bool in_archive =
            std::any_of(header.volumes.begin(), header.volumes.end(),
                        [&](const BackupVolume& one) { return one.path == volume.path; });
        if (in_archive) {
            matched[volume.path] = volume.name;
        } else {
            unmatched.push_back("'" + volume.path + "' is not in the backup");
        }
    }
    for (const BackupVolume& volume : header.volumes) {
        if (!matched.contains(volume.path)) {
            unmatched.push_back("'" + printable(volume.path) + "' is not declared by the image");
        }
    }
    if (!unmatched.empty()) {
        const std::string what = "volumes differ: " + join(unmatched, ", ");
        if (!partial) {
            throw Error(ErrorKind::archive_refused, what,
                        "drunner restore FILE " + manifest.name.text() + " --partial");
        }
        machine.progress.warning(what);
    }
    return matched;
}

void require_new_volumes(const InstallPlan& plan) {
    for (const ManagedVolume& volume : plan.manifest.volumes) {
        const bool made =
            std::any_of(plan.volumes_to_make.begin(), plan.volumes_to_make.end(),
                        [&](const ManagedVolume& one) { return one.name == volume.name; });
        if (!made) {
            throw Error(
                ErrorKind::already_installed,
                "volume '" + volume.name +
                    "' exists already, and a restore touches no volume that it did not make",
                "drunner obliterate " + plan.manifest.name.text());
        }
    }
}

}  // namespace

RestoreReport restore(Machine& machine, const RestoreRequest& request) {
    const std::unique_ptr<BackupReader> reader = open_backup(request.input, request.key);
    const BackupHeader& header = reader->header();
    const ServiceName name = request.name ? *request.name : ServiceName(header.service);
    const ServiceSession session(machine, name);
    if (Catalog(machine.paths).is_installed(name)) {
        throw Error(ErrorKind::already_installed, "'" + name.text() + "' is installed already",
                    "drunner restore FILE OTHERNAME");
    }
    require_free_name(machine, name);
    const RestoreImage image = image_for(machine, header, request);
    InstallPlan plan = plan_install(machine, name, image.reference, image.choice, "");
    require_new_volumes(plan);
    plan.manifest.settings = header.settings;
    adopt_settings(plan.manifest);
    const std::map<std::string, std::string> matched =
        match_volumes(machine, header, plan.manifest, request.partial);

    RestoreReport report{plan.manifest, {}};
    const int version = plan.manifest.release().config.version;
    transact(machine, name, "restore", [&](Transaction& transaction) {
        perform_install(machine, transaction, plan, "restore");

        const nlohmann::json running = record_containers(machine, name);
        transaction.perform(stop_service(machine, name, running.dump()));
        const std::string outer = machine.paths.service(name) + "/restore-" + transaction.id();
        const std::string hook_directory = outer + "/files";
        RestoreTargets targets;
        targets.hook_directory = hook_directory;
        std::map<std::string, std::string> beside;
        VolumeAccess access(machine);
        for (const auto& [path, volume] : matched) {
            const std::string directory =
                staging_directory(access.directory(volume), transaction.id());
            transaction.perform(make_path(directory, [&] { make_directories(directory); }));
            transaction.after_commit(removing_path(directory));
            targets.volumes[path] = directory;
            beside[volume] = directory;
        }
        transaction.after_commit(removing_path(outer));
        transaction.perform(make_path(outer, [&] {
            make_directories(outer, 0700);
            make_directories(hook_directory, 0777);
            report.result = reader->extract(targets, machine.progress);
        }));
        transaction.perform(exchange_volume_data(machine, beside));
        restore_containers(machine, name, running);
        transaction.perform(run_hook(machine, name, transaction.journal(),
                                     {Hook::restore, version, {hook_directory}, "restore"}));
        perform_selftest(machine, transaction, plan.manifest, "restore");
    });
    return report;
}

}  // namespace drunner
