#include <algorithm>

#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/health_gate.hpp"
#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/install_steps.hpp"
#include "operation/operations.hpp"
#include "operation/release_plan.hpp"
#include "operation/review.hpp"
#include "operation/service_containers.hpp"
#include "operation/session.hpp"
#include "operation/steps.hpp"
#include "operation/update_steps.hpp"
#include "service/settings.hpp"

namespace drunner {

void require_servicerunner(const Machine& machine, const ServiceName& service) {
    if (file_type(machine.paths.servicerunner(service)) != FileType::regular) {
        throw Error(ErrorKind::broken, "'" + service.text() + "' has no servicerunner any more",
                    "drunner recover " + service.text());
    }
}

void require_updatable(Machine& machine, const Manifest& manifest) {
    require_servicerunner(machine, manifest.name);
    for (const ManagedVolume& volume : manifest.volumes) {
        if (!machine.engine.find_volume(volume.name)) {
            throw Error(ErrorKind::volume_missing,
                        "volume '" + volume.name + "' of '" + manifest.name.text() +
                            "' is missing; its data is not here",
                        "drunner recover " + manifest.name.text() + " --empty");
        }
    }
}

std::vector<std::string> volume_names(const Manifest& manifest) {
    std::vector<std::string> names;
    for (const ManagedVolume& volume : manifest.volumes) {
        names.push_back(volume.name);
    }
    return names;
}

namespace {

bool same_extra_images(const std::vector<ExtraImage>& a, const std::vector<ExtraImage>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const ExtraImage& x, const ExtraImage& y) {
                          return x.reference == y.reference && x.id == y.id;
                      });
}

// The extra images as they stand now, for a main image that did not move: its declared list is the
// current release's.
bool extra_images_moved(Machine& machine, const Release& current, PullPolicy policy,
                        std::vector<std::string>& pulled) {
    bool moved = false;
    for (const ExtraImage& extra : current.extra_images) {
        const ImageChoice choice =
            choose_image(machine, {ImageReference(extra.reference), policy, extra.id, pulled});
        if (choice.pulled) {
            remember(pulled, choice.image.id);
        }
        moved = moved || choice.image.id != extra.id;
    }
    return moved;
}

// The releases to keep are the current and the one before it; answers the numbers of the others.
std::vector<int> drop_older_releases(Manifest& manifest) {
    std::vector<int> dropped;
    std::erase_if(manifest.releases, [&](const Release& release) {
        const bool keep = release.number == manifest.current || release.number == manifest.previous;
        if (!keep) {
            dropped.push_back(release.number);
        }
        return !keep;
    });
    return dropped;
}

// A signal, a full disk or an engine that is away says nothing about the image.
bool speaks_against_image(ErrorKind kind) {
    return kind == ErrorKind::script_failed || kind == ErrorKind::unhealthy;
}

void remember_failed(const Catalog& catalog, const ServiceName& name, const std::string& image_id) {
    try {
        if (auto manifest = catalog.find(name)) {
            remember(manifest->failed_digests, image_id);
            catalog.save(*manifest);
        }
    } catch (const Error&) {
        // What went wrong first is what must be told; the next update finds out again.
    }
}

}  // namespace

std::vector<std::string> differences(const Release& before, const Release& after) {
    std::vector<std::string> changes;
    if (before.reference != after.reference) {
        changes.push_back("image reference '" + before.reference + "' -> '" + after.reference +
                          "'");
    }
    if (before.image_id != after.image_id) {
        changes.push_back("image " + before.image_id + " -> " + after.image_id);
    }
    if (!same_extra_images(before.extra_images, after.extra_images)) {
        changes.emplace_back("extra images");
    }
    for (const auto& [name, value] : after.settings) {
        const auto old = before.settings.find(name);
        if (old != before.settings.end() && old->second != value) {
            changes.push_back("setting '" + name + "' changed");
        }
    }
    for (const auto& [path, hash] : after.script_hashes) {
        const auto old = before.script_hashes.find(path);
        if (old == before.script_hashes.end()) {
            changes.push_back("script '" + path + "' is new");
        } else if (old->second != hash) {
            changes.push_back("script '" + path + "' changed");
        }
    }
    for (const auto& [path, hash] : before.script_hashes) {
        if (!after.script_hashes.contains(path)) {
            changes.push_back("script '" + path + "' is gone");
        }
    }
    return changes;
}

UpdateResult update(Machine& machine, const ServiceName& name, const UpdateRequest& request) {
    const ServiceSession session(machine, name);
    const Catalog catalog(machine.paths);
    Manifest manifest = catalog.load(name);
    require_own_engine(machine, manifest);
    require_updatable(machine, manifest);
    if (const auto hold = current_hold(machine, manifest)) {
        machine.progress.note("'" + name.text() + "' is on hold " + hold_words(*hold) +
                              "; it is updated because it was named");
    }

    const Release current = manifest.release();
    const ImageReference reference =
        request.image ? *request.image : ImageReference(current.reference);
    const std::string word =
        request.pull ? std::string(pull_policy_word(*request.pull)) : manifest.pull;
    const PullPolicy policy = pull_policy_of(machine, word);
    const bool new_reference = !reference.same_as(ImageReference(current.reference));
    const Manifest before = manifest;

    const ImageChoice choice = choose_image(
        machine, {reference, policy, new_reference ? "" : current.image_id, manifest.pulled});
    if (choice.pulled) {
        remember(manifest.pulled, choice.image.id);
    }
    const bool moved = choice.image.id != current.image_id ||
                       extra_images_moved(machine, current, policy, manifest.pulled);
    // What was pulled is kept also when the update fails: it is how a local build is told apart.
    const bool word_changed = word != manifest.pull;
    if (manifest.pulled != before.pulled || word_changed) {
        manifest.pull = word;
        if (!machine.check) {
            catalog.save(manifest);
        }
    }
    const bool reconfigured =
        effective_settings(current.config, manifest.settings) != current.settings;
    if (!moved && !new_reference && !reconfigured) {
        tell_facts(machine, name, facts_of(before), facts_of(manifest));
        return {word_changed ? Outcome::changed : Outcome::unchanged, manifest, {}, {}};
    }
    const std::vector<std::string>& failed = manifest.failed_digests;
    if (request.spare_failed && moved &&
        std::find(failed.begin(), failed.end(), choice.image.id) != failed.end()) {
        return {Outcome::unchanged, manifest, {}, choice.image.id};
    }

    InspectedImage inspected = inspect_image(machine, name, choice.image, reference.text());
    if (!inspected.config_known) {
        inspected.config = current.config;
    }
    if (!inspected.files_known) {
        inspected.user.uid = current.uid;
        inspected.user.gid = current.gid;
    }
    Manifest next = manifest;
    Release release =
        plan_release(machine, inspected, reference, next_release_number(machine, manifest), policy,
                     &current, next.pulled);
    VolumePlan volumes = plan_volumes(machine, name, manifest.installation, release.config.volumes,
                                      manifest.volumes, false);
    for (const ManagedVolume& volume : manifest.volumes) {
        const bool declared =
            std::any_of(volumes.all.begin(), volumes.all.end(),
                        [&](const ManagedVolume& one) { return one.path == volume.path; });
        if (!declared) {
            machine.progress.note("volume '" + volume.name +
                                  "' is not declared any more; it is kept");
            volumes.all.push_back(volume);
        }
    }
    if (!manifest.volumes.empty() && (release.uid != current.uid || release.gid != current.gid)) {
        machine.progress.warning("the image's user changed; existing volumes keep their owner");
    }
    next.volumes = volumes.all;
    next.previous = manifest.current;
    next.current = release.number;
    next.releases.push_back(release);
    adopt_settings(next);
    release = next.release();
    const std::vector<int> dropped = drop_older_releases(next);
    std::erase(next.failed_digests, release.image_id);
    require_idle_of_strangers(machine, name, volume_names(manifest));
    const SnapshotPlan plan = plan_snapshot(machine, manifest.volumes, current.image_id);
    tell_facts(machine, name, facts_of(before), facts_of(next));
    if (inspected.files_known) {
        tell_scripts(machine, name, release_files(machine, name, current.number), inspected.files);
    }
    if (machine.check) {
        return {Outcome::changed, next, differences(current, release), {}};
    }

    try {
        transact(machine, name, "update", [&](Transaction& transaction) {
            Journal& journal = transaction.journal();
            HealthGate gate(machine, name);
            transaction.perform(remember_containers(machine, name));
            renew_temp_directory(machine, transaction, name);
            transaction.perform(write_release(machine, next, release, inspected.files));
            transaction.perform(pin_image(machine, name, release));
            transaction.perform(
                run_hook(machine, name, journal,
                         {Hook::update_start, current.config.version, {}, "update"}));
            gate.updatestart_returned();
            protect_data(machine, transaction, name, plan, current.number);
            transaction.perform(link_release(machine, name, release.number));
            transaction.perform(write_manifest(machine, next));
            for (const ManagedVolume& volume : volumes.to_make) {
                transaction.perform(make_volume(machine, next, volume, transaction.id()));
            }
            if (!volumes.to_make.empty()) {
                transaction.perform(
                    fill_new_volumes(machine, release, volumes.to_make, transaction.id()));
            }
            transaction.perform(run_hook(machine, name, journal,
                                         {Hook::update_end, release.config.version, {}, "update"}));
            gate.require_healthy();
            perform_selftest(machine, transaction, next, "update");
            // The kept containers use the pinned images: they change before a pin goes.
            transaction.after_commit(settling_keep());
            for (const int number : dropped) {
                transaction.after_commit(removing_pin(number));
                transaction.after_commit(removing_data(machine.paths.kept_data(name, number)));
                transaction.after_commit(removing_path(machine.paths.release(name, number)));
            }
        });
    } catch (const Error& error) {
        if (error.rolled_back() && speaks_against_image(error.kind())) {
            remember_failed(catalog, name, release.image_id);
        }
        throw error.within("cannot update '" + name.text() + "'" +
                           (error.rolled_back() ? ", it was rolled back" : ""));
    }
    return {Outcome::changed, next, differences(current, release), {}};
}

}  // namespace drunner
