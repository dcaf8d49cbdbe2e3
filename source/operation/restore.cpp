#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/final_backup.hpp"
#include "operation/install_steps.hpp"
#include "operation/operations.hpp"
#include "operation/restore_plan.hpp"
#include "operation/secret_steps.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/volumes.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

// The declared volumes that exist already. Without --replace one of them is an error.
std::vector<ManagedVolume> existing_volumes(const InstallPlan& plan, bool replace) {
    std::vector<ManagedVolume> existing;
    for (const ManagedVolume& volume : plan.manifest.volumes) {
        const bool made =
            std::any_of(plan.volumes_to_make.begin(), plan.volumes_to_make.end(),
                        [&](const ManagedVolume& one) { return one.name == volume.name; });
        if (made) {
            continue;
        }
        if (!replace) {
            const std::string& name = plan.manifest.name.text();
            throw Error(
                ErrorKind::already_installed,
                "volume '" + volume.name +
                    "' exists already, and a restore touches no volume that it did not make",
                "drunner restore FILE " + name + " --replace, or drunner obliterate " + name);
        }
        existing.push_back(volume);
    }
    return existing;
}

// The `install` hook must not find the old data, and a volume that can only be streamed cannot be
// emptied without a trace.
void require_exchangeable(Machine& machine, const ServiceName& name,
                          const std::vector<ManagedVolume>& volumes) {
    VolumeAccess access(machine);
    for (const ManagedVolume& volume : volumes) {
        const std::optional<Volume> found = machine.engine.find_volume(volume.name);
        const std::string why = found ? access.why_streamed(*found) : std::string();
        if (!why.empty()) {
            throw Error(ErrorKind::archive_refused,
                        "volume '" + volume.name +
                            "' exists already, and its data cannot be set aside for the 'install' "
                            "hook because " +
                            why,
                        "drunner install IMAGE " + name.text() +
                            ", which takes the volume as it is, then drunner restore FILE " +
                            name.text() + " --replace");
        }
    }
}

// Puts an empty directory in the place of each volume's data, which the `install` hook then cannot
// change.
void set_data_aside(Machine& machine, Transaction& transaction,
                    const std::vector<ManagedVolume>& volumes) {
    if (volumes.empty()) {
        return;
    }
    std::map<std::string, std::string> beside;
    VolumeAccess access(machine);
    for (const ManagedVolume& volume : volumes) {
        const std::string directory =
            staging_directory(access.directory(volume.name), transaction.id() + "-before");
        transaction.perform(make_path(directory, [&] { make_directories(directory, 0755); }));
        transaction.after_commit(removing_path(directory));
        beside[volume.name] = directory;
    }
    transaction.perform(exchange_volume_data(machine, beside));
}

RestoreReport perform_restore(Machine& machine, BackupReader& reader, const InstallPlan& plan,
                              const std::map<std::string, std::string>& matched,
                              std::string_view verb, const std::string& consumed_file) {
    const Secrets secrets = secrets_for(reader.header(), consumed_file);
    const ServiceName& name = plan.manifest.name;
    tell_install(machine, plan);
    for (const auto& [path, volume] : matched) {
        tell_change(machine, "the data of '" + volume + "' comes from the backup");
    }
    if (!consumed_file.empty()) {
        tell_change(machine, "final backup: " + consumed_file + " (goes)");
    }
    if (machine.check) {
        return rehearse_restore(machine, reader, plan.manifest);
    }
    const int version = plan.manifest.release().config.version;
    RestoreReport report{plan.manifest, {}, {}};
    transact(machine, name, verb, [&](Transaction& transaction) {
        if (!consumed_file.empty()) {
            transaction.after_commit(removing_path(consumed_file));
            transaction.after_commit(removing_path(kept_secrets(consumed_file)));
        }
        set_data_aside(machine, transaction, plan.emptied_volumes);
        place_secrets(machine, transaction, name, secrets);
        perform_install(machine, transaction, plan, verb);
        const nlohmann::json running = record_containers(machine, name);
        transaction.perform(stop_service(machine, name, running.dump()));
        const FilledBeside filled = fill_beside(machine, transaction, reader, name,
                                                plan.manifest.release().image_id, matched);
        report.result = filled.result;
        report.streamed = filled.streamed;
        transaction.perform(exchange_volume_data(machine, filled.volumes));
        restore_containers(machine, name, running);
        transaction.perform(
            run_hook(machine, name, transaction.journal(),
                     {Hook::restore, version, {filled.hook_directory}, std::string(verb)}));
        perform_selftest(machine, transaction, plan.manifest, verb);
    });
    report.missing_secrets = tell_missing_secrets(machine, plan.manifest);
    return report;
}

// None are known of an image that is not here, with --check.
std::map<std::string, std::string> volumes_to_fill(Machine& machine, const BackupHeader& header,
                                                   const InstallPlan& plan, bool partial) {
    return plan.config_known ? match_volumes(machine, header, plan.manifest, partial)
                             : std::map<std::string, std::string>();
}

}  // namespace

RestoreReport restore_new(Machine& machine, BackupReader& reader, const ServiceName& name,
                          const RestoreRequest& request) {
    const BackupHeader& header = reader.header();
    require_free_name(machine, name);
    const RestoreImage image = image_for(machine, reader, request);
    InstallPlan plan = plan_install(machine, name, image.reference, image.choice, "");
    plan.emptied_volumes = existing_volumes(plan, request.replace);
    plan.manifest.settings = header.settings;
    adopt_settings(plan.manifest);
    adopt_secrets(plan.manifest, header, secrets_for(header, request.consumed_file));
    const auto matched = volumes_to_fill(machine, header, plan, request.partial);
    std::vector<std::string> existing;
    for (const ManagedVolume& volume : plan.emptied_volumes) {
        const bool filled = std::any_of(matched.begin(), matched.end(), [&](const auto& match) {
            return match.second == volume.name;
        });
        if (!filled) {
            throw Error(ErrorKind::archive_refused,
                        "volume '" + volume.name +
                            "' exists already, and the backup has nothing to replace it with",
                        "drunner install IMAGE " + name.text());
        }
        existing.push_back(volume.name);
    }
    require_exchangeable(machine, name, plan.emptied_volumes);
    require_idle_of_strangers(machine, name, existing);
    return perform_restore(machine, reader, plan, matched, "restore", request.consumed_file);
}

RestoreReport restore_for_drill(Machine& machine, BackupReader& reader, const ServiceName& name,
                                const ServiceName& drill_of) {
    const BackupHeader& header = reader.header();
    const RestoreImage image = image_for(machine, reader, {});
    InstallPlan plan = plan_install(machine, name, image.reference, image.choice, "");
    existing_volumes(plan, false);
    plan.manifest.settings = header.settings;
    adopt_settings(plan.manifest);
    adopt_secrets(plan.manifest, header, secrets_for(header, ""));
    plan.manifest.launcher.clear();
    plan.manifest.drill_of = drill_of.text();
    const auto matched = volumes_to_fill(machine, header, plan, false);
    return perform_restore(machine, reader, plan, matched, "drill", "");
}

RestoreReport restore(Machine& machine, const RestoreRequest& request) {
    const std::unique_ptr<BackupReader> reader = open_backup(request.input, request.key);
    if (!request.name && reader->header().service.empty()) {
        throw Error(ErrorKind::usage, "the backup does not say which service it is of",
                    "drunner restore FILE SERVICE");
    }
    const ServiceName name = request.name ? *request.name : ServiceName(reader->header().service);
    const ServiceSession session(machine, name);
    const std::optional<Manifest> installed = Catalog(machine.paths).find(name);
    if (!installed) {
        return restore_new(machine, *reader, name, request);
    }
    if (!request.replace) {
        throw Error(ErrorKind::already_installed, "'" + name.text() + "' is installed already",
                    "drunner restore FILE " + name.text() +
                        " --replace, or drunner restore FILE OTHERNAME");
    }
    return restore_over(machine, *reader, *installed, request);
}

}  // namespace drunner
