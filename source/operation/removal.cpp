#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/final_backup.hpp"
#include "operation/operations.hpp"
#include "operation/review.hpp"
#include "operation/secret_steps.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "service/launcher.hpp"

namespace drunner {
namespace {

// Everything that a service left on the host and in the engine, found also when its files are gone.
struct Traces {
    bool files = false;
    std::optional<Manifest> manifest;
    std::string installation;
    std::string launcher;  // empty where there is none of ours
    std::vector<int> pins;
    std::vector<std::string> volumes;  // labelled with the service and this installation
    std::vector<std::string> adopted;
    std::vector<std::string> missing;  // recorded, and the engine lacks them
    bool keep = false;
    std::string reference;  // of the image, as the kept container tells it
    std::string image_id;
    bool containers = false;

    bool any_but_volumes() const {
        return files || !launcher.empty() || !pins.empty() || keep || containers;
    }
};

std::optional<Manifest> readable_manifest(const Machine& machine, const ServiceName& name) {
    try {
        return Catalog(machine.paths).find(name);
    } catch (const Error& error) {
        machine.progress.warning(error.what());
        return std::nullopt;
    }
}

Traces find_traces(Machine& machine, const ServiceName& name) {
    Traces traces;
    traces.files = exists(machine.paths.service(name));
    traces.manifest = readable_manifest(machine, name);
    traces.installation = exists(machine.paths.installation_id()) ? installation_id(machine) : "";
    std::string launcher = machine.config.launcher_directory + "/" + name.text();
    if (traces.manifest) {
        require_own_engine(machine, *traces.manifest);
        launcher = traces.manifest->launcher;
        for (const ManagedVolume& volume : traces.manifest->volumes) {
            if (!machine.engine.find_volume(volume.name)) {
                traces.missing.push_back(volume.name);
            } else if (volume.adopted) {
                traces.adopted.push_back(volume.name);
            }
        }
    }
    if (read_symlink(launcher) == machine.drunner_binary ||
        (traces.manifest && is_launcher(launcher))) {
        traces.launcher = launcher;
    }
    for (const std::string& kept : {keep_container(name), previous_keep_container(name)}) {
        const std::optional<Container> keep = machine.engine.find_container(kept);
        if (!keep) {
            continue;
        }
        const auto owner = keep->labels.find(label::installation);
        if (owner != keep->labels.end() && owner->second == traces.installation) {
            traces.keep = true;
            if (kept == keep_container(name)) {
                const auto reference = keep->labels.find("drunner.reference");
                traces.reference = reference == keep->labels.end() ? "" : reference->second;
                traces.image_id = keep->image_id;
            }
        }
    }
    // Also the pins that no manifest names; without a trace of this installation's own they may be
    // another's.
    if (traces.files || traces.keep) {
        for (const ImageTag& tag : machine.engine.list_tags(pin_repository)) {
            if (const int pin = release_of_pin(name, tag.reference); pin != 0) {
                traces.pins.push_back(pin);
            }
        }
    }
    const std::string mine = std::string(label::service) + "=" + name.text();
    const std::string here = std::string(label::installation) + "=" + traces.installation;
    for (const Volume& volume :
         machine.engine.list_volumes({.labels = {mine, here}, .name = {}, .volume = {}})) {
        traces.volumes.push_back(volume.name);
    }
    // Containers that run for a service of another installation are its own business.
    traces.containers = (traces.files || traces.keep) && !containers_of(machine, name).empty();
    return traces;
}

void register_removal(Transaction& transaction, const Traces& traces) {
    if (traces.files || traces.keep) {
        transaction.after_commit(removing_containers());
        transaction.after_commit(removing_networks());
        transaction.after_commit(removing_keep());
    }
    if (!traces.launcher.empty()) {
        transaction.after_commit(removing_launcher(traces.launcher));
    }
    for (const int pin : traces.pins) {
        transaction.after_commit(removing_pin(pin));
    }
}

int version_of(const Traces& traces) {
    return traces.manifest ? traces.manifest->release().config.version : 1;
}

bool run_removal_hook(Machine& machine, const ServiceName& name, Transaction& transaction,
                      const Traces& traces, Hook hook, const char* verb) {
    if (!traces.files) {
        return true;
    }
    return run_tolerant_hook(machine, name, transaction.journal(),
                             {hook, version_of(traces), {}, verb});
}

// What is there of the service, also where no manifest tells it.
Facts facts_of(const Traces& traces, const std::vector<std::string>& volumes) {
    Facts facts = traces.manifest ? facts_of(*traces.manifest) : Facts();
    if (!traces.launcher.empty()) {
        facts["launcher"] = traces.launcher;
    }
    for (const std::string& volume : volumes) {
        facts.emplace("volume " + volume, "its data");
    }
    return facts;
}

// What stays of these facts where only the volumes stay.
Facts volumes_of(const Facts& facts) {
    Facts volumes = facts;
    std::erase_if(volumes, [](const auto& fact) { return !fact.first.starts_with("volume "); });
    return volumes;
}

void tell_removal(Machine& machine, const ServiceName& name, const Traces& traces,
                  const Facts& before, const Facts& after) {
    tell_change(machine, "'" + name.text() + "' goes");
    tell_facts(machine, name, before, after);
    if (traces.manifest) {
        tell_scripts(machine, name, release_files(machine, name, traces.manifest->current), {});
    }
}

}  // namespace

RemovalResult uninstall(Machine& machine, const ServiceName& name) {
    const ServiceSession session(machine, name, ServiceSession::Use::recovery_counts);
    if (session.is_unfinished()) {
        return {Outcome::changed, {}, {}};
    }
    const Traces traces = find_traces(machine, name);
    std::vector<std::string> volumes = traces.volumes;
    volumes.insert(volumes.end(), traces.adopted.begin(), traces.adopted.end());
    if (!traces.any_but_volumes()) {
        return {session.recovered() ? Outcome::changed : Outcome::unchanged, volumes, {}};
    }
    const Facts before = facts_of(traces, volumes);
    tell_removal(machine, name, traces, before, volumes_of(before));
    if (machine.check) {
        return {Outcome::changed, volumes, {}};
    }
    const std::vector<std::string> secrets = SecretStore(machine.paths.secrets(name)).names();
    transact(machine, name, "uninstall", [&](Transaction& transaction) {
        if (traces.files) {
            transaction.perform(remember_containers(machine, name));
        }
        run_removal_hook(machine, name, transaction, traces, Hook::uninstall, "uninstall");
        register_removal(transaction, traces);
        transaction.after_commit(removing_service_files());
    });
    if (!secrets.empty()) {
        machine.progress.note("its secrets are gone: " + join(secrets, ", "));
    }
    return {Outcome::changed, volumes, {}};
}

RemovalResult obliterate(Machine& machine, const ServiceName& name,
                         const ObliterateRequest& request) {
    const ServiceSession session(machine, name, ServiceSession::Use::recovery_counts);
    if (session.is_unfinished()) {
        return {Outcome::changed, {}, {}};
    }
    const Traces traces = find_traces(machine, name);
    RemovalResult result;
    result.volumes = traces.volumes;
    result.volumes.insert(result.volumes.end(), traces.adopted.begin(), traces.adopted.end());
    if (!traces.any_but_volumes() && result.volumes.empty()) {
        result.outcome = session.recovered() ? Outcome::changed : Outcome::unchanged;
        return result;
    }
    require_idle_of_strangers(machine, name, result.volumes);
    std::optional<FinalBackup> last;
    if (!request.purge) {
        last = plan_final_backup(
            machine, name,
            {traces.manifest, traces.files, traces.volumes, traces.reference, traces.image_id});
    }
    tell_removal(machine, name, traces, facts_of(traces, result.volumes),
                 last ? Facts{{"final backup", last->request.file}} : Facts());
    if (machine.check) {
        result.final_backup = last ? last->request.file : "";
        return result;
    }
    BackupReport report;
    bool hook_succeeded = true;
    transact(machine, name, "obliterate", [&](Transaction& transaction) {
        if (traces.files) {
            transaction.perform(remember_containers(machine, name));
        }
        if (last) {
            report.file = last->request.file;
            try {
                perform_backup(machine, transaction, name, last->plan, last->request, report);
            } catch (const Error& error) {
                throw without_final_backup(name, error);
            }
            if (last->request.key.empty()) {
                keep_secrets(machine, transaction, name, kept_secrets(report.file));
            }
            result.final_backup = report.file;
        }
        hook_succeeded =
            run_removal_hook(machine, name, transaction, traces, Hook::obliterate, "obliterate");
        register_removal(transaction, traces);
        // A hook that mounts a missing volume makes it anew, without labels.
        std::vector<std::string> unlabelled = traces.adopted;
        unlabelled.insert(unlabelled.end(), traces.missing.begin(), traces.missing.end());
        transaction.after_commit(removing_volumes(unlabelled, traces.installation));
        transaction.after_commit(removing_service_files());
    });
    tell_left_out(machine, report.result);
    remove_expired(machine);
    if (!hook_succeeded) {
        throw Error(ErrorKind::script_failed,
                    "'obliterate' of the service failed; everything of '" + name.text() +
                        "' that drunner knows of was removed all the same" +
                        (result.final_backup.empty() ? "" : ", its final backup is kept"),
                    result.final_backup.empty() ? "" : "drunner undelete " + name.text());
    }
    return result;
}

}  // namespace drunner
