#include "operation/install_steps.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/operations.hpp"
#include "operation/release_plan.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"
#include "service/settings.hpp"

namespace drunner {
namespace {

// Empty where nothing of that name is installed; otherwise the answer of an install that has
// nothing to do. Throws where something else stands there.
std::optional<Manifest> already_installed(Machine& machine, const ServiceName& name,
                                          const ImageReference& image) {
    std::optional<Manifest> manifest = Catalog(machine.paths).find(name);
    if (!manifest) {
        return std::nullopt;
    }
    const std::string& installed = manifest->release().reference;
    if (!ImageReference(installed).same_as(image)) {
        throw Error(ErrorKind::already_installed,
                    "'" + name.text() + "' is installed from '" + installed + "'",
                    "drunner update " + name.text() + " --image " + image.text());
    }
    require_own_engine(machine, *manifest);
    const ServiceCondition condition = examine(machine, name);
    if (!condition.whole()) {
        throw Error(
            ErrorKind::broken,
            "'" + name.text() + "' is installed but not whole: " + condition.problems.front().what,
            condition.problems.front().next);
    }
    return manifest;
}

}  // namespace

InstallPlan plan_install(Machine& machine, const ServiceName& name, const ImageReference& image,
                         const ImageChoice& choice, const std::string& pull_word) {
    InspectedImage inspected = inspect_image(machine, name, choice.image, image.text());
    Manifest manifest = new_manifest(machine, name);
    manifest.pull = pull_word;
    if (choice.pulled) {
        remember(manifest.pulled, choice.image.id);
    }
    require_free_of_others(machine, manifest);
    manifest.current = next_release_number(machine, manifest);
    manifest.releases.push_back(plan_release(machine, inspected, image, manifest.current,
                                             pull_policy_of(machine, pull_word), nullptr,
                                             manifest.pulled));
    VolumePlan volumes =
        plan_volumes(machine, name, manifest.installation, inspected.config.volumes, {}, false);
    manifest.volumes = std::move(volumes.all);
    adopt_settings(manifest);
    return {std::move(manifest),   std::move(inspected.files), std::move(volumes.to_make), {},
            inspected.files_known, inspected.config_known};
}

void tell_install(Machine& machine, const InstallPlan& plan) {
    tell_facts(machine, plan.manifest.name, {}, facts_of(plan.manifest));
    if (plan.files_known) {
        tell_scripts(machine, plan.manifest.name, {}, plan.files);
    }
}

void require_free_name(const Machine& machine, const ServiceName& name) {
    const std::string launcher = machine.config.launcher_directory + "/" + name.text();
    if (exists(launcher)) {
        throw Error(ErrorKind::file_exists,
                    "cannot put the command '" + name.text() + "' at '" + launcher +
                        "': something stands there",
                    "drunner install IMAGE OTHERNAME");
    }
    check_launcher_name(name, machine.caller_path, launcher);
}

void require_free_of_others(Machine& machine, const Manifest& manifest) {
    const std::optional<Container> keep =
        machine.engine.find_container(keep_container(manifest.name));
    if (!keep) {
        return;
    }
    const auto owner = keep->labels.find(label::installation);
    if (owner != keep->labels.end() && owner->second == manifest.installation) {
        if (!machine.check) {
            machine.engine.remove_container(keep->id);  // of an installation whose files are gone
        }
        return;
    }
    throw Error(
        ErrorKind::already_installed,
        "another drunner installation has a service '" + manifest.name.text() + "' on this engine",
        "drunner install IMAGE OTHERNAME");
}

void renew_temp_directory(Machine& machine, Transaction& transaction, const ServiceName& name) {
    const std::string aside = machine.paths.temp(name) + "-" + transaction.id();
    transaction.perform(renew_temp(machine, name, aside));
    transaction.after_commit(removing_path(aside));
}

void perform_install(Machine& machine, Transaction& transaction, const InstallPlan& plan,
                     std::string_view verb) {
    const Manifest& manifest = plan.manifest;
    const Release& release = manifest.release();
    renew_temp_directory(machine, transaction, manifest.name);
    transaction.perform(write_release(machine, manifest, release, plan.files));
    transaction.perform(pin_image(machine, manifest.name, release));
    for (const ManagedVolume& volume : plan.volumes_to_make) {
        transaction.perform(make_volume(machine, manifest, volume, transaction.id()));
    }
    std::vector<ManagedVolume> empty = plan.volumes_to_make;
    empty.insert(empty.end(), plan.emptied_volumes.begin(), plan.emptied_volumes.end());
    transaction.perform(make_keep_container(machine, manifest, empty, transaction.id()));
    transaction.perform(link_release(machine, manifest.name, release.number));
    transaction.perform(write_manifest(machine, manifest));
    if (!manifest.launcher.empty()) {
        transaction.perform(make_launcher(machine, manifest.launcher));
    }
    transaction.perform(run_hook(machine, manifest.name, transaction.journal(),
                                 {Hook::install, release.config.version, {}, std::string(verb)}));
}

void perform_selftest(Machine& machine, Transaction& transaction, const Manifest& manifest,
                      std::string_view verb) {
    if (manifest.release().config.selftest) {
        transaction.perform(
            run_hook(machine, manifest.name, transaction.journal(),
                     {Hook::selftest, manifest.release().config.version, {}, std::string(verb)}));
    }
}

InstallResult install(Machine& machine, const InstallRequest& request) {
    const ServiceName name = request.name ? *request.name : ServiceName(request.image.last_part());
    const ServiceSession session(machine, name);
    if (auto manifest = already_installed(machine, name, request.image)) {
        for (const auto& [setting, value] : request.settings) {
            if (checked_setting(declared_setting(*manifest, setting), value) !=
                effective_settings(manifest->release().config, manifest->settings).at(setting)) {
                throw Error(
                    ErrorKind::already_installed,
                    "'" + name.text() + "' is installed already, with another '" + setting + "'",
                    "drunner configure " + name.text() + " " + setting + "=VALUE");
            }
        }
        return {Outcome::unchanged, std::move(*manifest)};
    }
    require_free_name(machine, name);
    const std::string word = request.pull ? std::string(pull_policy_word(*request.pull)) : "";
    const ImageChoice choice =
        choose_image(machine, {request.image, pull_policy_of(machine, word), {}, {}});
    InstallPlan plan = plan_install(machine, name, request.image, choice, word);
    for (const auto& [setting, value] : request.settings) {
        if (plan.config_known) {
            plan.manifest.settings[setting] =
                checked_setting(declared_setting(plan.manifest, setting), value);
        }
    }
    adopt_settings(plan.manifest);
    tell_install(machine, plan);
    if (machine.check) {
        return {Outcome::changed, plan.manifest};
    }
    transact(machine, name, "install", [&](Transaction& transaction) {
        perform_install(machine, transaction, plan, "install");
        perform_selftest(machine, transaction, plan.manifest, "install");
    });
    return {Outcome::changed, plan.manifest};
}

}  // namespace drunner
