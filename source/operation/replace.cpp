#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/image_inspection.hpp"
#include "operation/install_steps.hpp"
#include "operation/release_plan.hpp"
#include "operation/restore_plan.hpp"
#include "operation/review.hpp"
#include "operation/secret_steps.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/volumes.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

void require_replaceable(Machine& machine, const Manifest& installed) {
    const std::string& name = installed.name.text();
    require_own_engine(machine, installed);
    if (file_type(machine.paths.servicerunner(installed.name)) != FileType::regular) {
        throw Error(ErrorKind::broken, "'" + name + "' has no servicerunner any more",
                    "drunner recover " + name);
    }
    VolumeAccess access(machine);
    std::vector<std::string> volumes;
    for (const ManagedVolume& volume : installed.volumes) {
        const std::optional<Volume> found = machine.engine.find_volume(volume.name);
        if (!found) {
            throw Error(
                ErrorKind::volume_missing,
                "volume '" + volume.name + "' of '" + name + "' is missing; its data is not here",
                "drunner recover " + name + " --empty");
        }
        if (access.why_streamed(*found).empty()) {
            access.directory(*found);
        }
        volumes.push_back(volume.name);
    }
    require_idle_of_strangers(machine, installed.name, volumes);
}

// What stands when the restore is done.
struct ReplacePlan {
    Manifest manifest;
    bool new_release = false;
    ImageFiles files;  // of the new release
    std::vector<ManagedVolume> volumes_to_make;
    std::vector<int> dropped;  // releases that go
    bool files_known = true;   // as in InspectedImage
    bool config_known = true;  // as in InspectedImage
};

ImageChoice image_of(Machine& machine, const Manifest& installed,
                     const std::optional<ImageReference>& wanted) {
    if (wanted) {
        return choose_image(machine, {*wanted, pull_policy_of(machine, installed.pull), {}, {}});
    }
    const Release& current = installed.release();
    if (auto image = machine.engine.find_image(current.image_id)) {
        return {std::move(*image), false};
    }
    throw Error(ErrorKind::broken, "image '" + current.image_id + "' is missing",
                "drunner recover " + installed.name.text());
}

ReplacePlan plan_replace(Machine& machine, const BackupHeader& header, const Manifest& installed,
                         const std::optional<ImageReference>& wanted) {
    ReplacePlan plan{installed, false, {}, {}, {}};
    Manifest& next = plan.manifest;
    if (!header.from_old_tool) {
        next.settings = header.settings;
    }
    adopt_secrets(next, header, header.secrets);
    const ImageReference reference =
        wanted ? *wanted : ImageReference(installed.release().reference);
    const ImageChoice choice = image_of(machine, installed, wanted);
    const bool same_reference = reference.same_as(ImageReference(installed.release().reference));
    const Release& current = installed.release();
    plan.new_release = choice.image.id != current.image_id || !same_reference ||
                       effective_settings(current.config, next.settings) != current.settings;
    if (!plan.new_release) {
        return plan;
    }
    InspectedImage inspected =
        inspect_image(machine, installed.name, choice.image, reference.text());
    plan.files_known = inspected.files_known;
    plan.config_known = inspected.config_known;
    if (!plan.config_known) {
        inspected.config = current.config;
    }
    if (choice.pulled) {
        remember(next.pulled, choice.image.id);
    }
    Release release =
        plan_release(machine, inspected, reference, next_release_number(machine, installed),
                     pull_policy_of(machine, installed.pull), &installed.release(), next.pulled);
    VolumePlan volumes = plan_volumes(machine, installed.name, installed.installation,
                                      release.config.volumes, installed.volumes, false);
    for (const ManagedVolume& volume : installed.volumes) {
        const bool declared =
            std::any_of(volumes.all.begin(), volumes.all.end(),
                        [&](const ManagedVolume& one) { return one.path == volume.path; });
        if (!declared) {
            volumes.all.push_back(volume);
        }
    }
    next.volumes = std::move(volumes.all);
    next.previous = installed.current;
    next.current = release.number;
    next.releases.push_back(std::move(release));
    adopt_settings(next);
    std::erase_if(next.releases, [&](const Release& one) {
        const bool keep = one.number == next.current || one.number == next.previous;
        if (!keep) {
            plan.dropped.push_back(one.number);
        }
        return !keep;
    });
    plan.files = std::move(inspected.files);
    plan.volumes_to_make = std::move(volumes.to_make);
    return plan;
}

}  // namespace

RestoreReport restore_over(Machine& machine, BackupReader& reader, const Manifest& installed,
                           const RestoreRequest& request) {
    const BackupHeader& header = reader.header();
    const ServiceName& name = installed.name;
    require_replaceable(machine, installed);
    const ReplacePlan plan = plan_replace(machine, header, installed, request.image);
    const Release& release = plan.manifest.release();
    const auto matched =
        match_volumes(machine, header, plan.manifest, request.partial || !plan.config_known);
    const int old_version = installed.release().config.version;
    const int version = release.config.version;

    const Secrets secrets = secrets_for(header, "");
    tell_facts(machine, name, facts_of(installed), facts_of(plan.manifest));
    if (plan.new_release && plan.files_known) {
        tell_scripts(machine, name, release_files(machine, name, installed.current), plan.files);
    }
    for (const auto& [path, volume] : matched) {
        tell_change(machine, "the data of '" + volume + "' is that of the backup");
    }
    for (const auto& [secret, content] : secrets) {
        tell_change(machine, "secret " + secret + ": that of the backup");
    }
    if (machine.check) {
        return rehearse_restore(machine, reader, plan.manifest);
    }
    RestoreReport report{plan.manifest, {}, {}};
    transact(machine, name, "restore", [&](Transaction& transaction) {
        Journal& journal = transaction.journal();
        const auto call = [&](Hook hook, int hook_version, std::vector<std::string> arguments) {
            transaction.perform(run_hook(machine, name, journal,
                                         {hook, hook_version, std::move(arguments), "restore"}));
        };
        transaction.perform(remember_containers(machine, name));
        if (plan.new_release) {
            renew_temp_directory(machine, transaction, name);
            transaction.perform(write_release(machine, plan.manifest, release, plan.files));
            transaction.perform(pin_image(machine, name, release));
            call(Hook::update_start, old_version, {});
            for (const ManagedVolume& volume : plan.volumes_to_make) {
                transaction.perform(make_volume(machine, plan.manifest, volume, transaction.id()));
            }
            if (!plan.volumes_to_make.empty()) {
                transaction.perform(
                    fill_new_volumes(machine, release, plan.volumes_to_make, transaction.id()));
            }
        }
        const nlohmann::json ran = record_containers(machine, name);
        transaction.perform(stop_service(machine, name, ran.dump()));
        const FilledBeside filled =
            fill_beside(machine, transaction, reader, name, release.image_id, matched);
        report.result = filled.result;
        report.streamed = filled.streamed;
        transaction.perform(exchange_volume_data(machine, filled.volumes));
        place_secrets(machine, transaction, name, secrets);
        if (plan.new_release) {
            transaction.perform(link_release(machine, name, release.number));
        }
        if (!plan.new_release && plan.manifest.secrets != installed.secrets) {
            transaction.perform(write_variables(machine, plan.manifest));
        }
        if (!(plan.manifest == installed)) {
            transaction.perform(write_manifest(machine, plan.manifest));
        }
        call(Hook::restore, version, {filled.hook_directory});
        resume_containers(machine, ran);
        if (plan.new_release) {
            call(Hook::update_end, version, {});
            transaction.after_commit(settling_keep());
        }
        perform_selftest(machine, transaction, plan.manifest, "restore");
        for (const int number : plan.dropped) {
            transaction.after_commit(removing_pin(number));
            transaction.after_commit(removing_path(machine.paths.release(name, number)));
        }
    });
    report.missing_secrets = tell_missing_secrets(machine, plan.manifest);
    return report;
}

}  // namespace drunner
