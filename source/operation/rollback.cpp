#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/data_snapshot.hpp"
#include "operation/health_gate.hpp"
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
namespace {

std::string words_for(const Release& release) {
    return "release " + std::to_string(release.number);
}

// Throws where the scripts or the image of the release are not there any more.
void require_whole(Machine& machine, const ServiceName& name, const Release& release) {
    const std::string way_out = "drunner update " + name.text();
    if (file_type(machine.paths.release_scripts(name, release.number) + "/servicerunner") !=
        FileType::regular) {
        throw Error(ErrorKind::broken,
                    "the scripts of " + words_for(release) + " of '" + name.text() + "' are gone",
                    way_out);
    }
    const std::optional<Image> image =
        machine.engine.find_image(pinned_image(name, release.number));
    if (!image || image->id != release.image_id) {
        throw Error(ErrorKind::image_not_found,
                    "the image of " + words_for(release) + " of '" + name.text() + "' is gone",
                    way_out);
    }
}

// Throws Error(archive_refused), saying why, where the release's data cannot be put back whole.
void require_kept_data(Machine& machine, const ServiceName& name, const Release& release) {
    const std::string directory = machine.paths.kept_data(name, release.number);
    const std::optional<KeptData> kept = read_kept_data(directory);
    const std::string what = "the data that " + words_for(release) + " of '" + name.text() +
                             "' was left with cannot be put back: ";
    const std::string way_out = "drunner rollback " + name.text();
    if (!kept) {
        throw Error(ErrorKind::archive_refused,
                    what + "it is not kept any more, only until it was used or cleaned away",
                    way_out);
    }
    if (!kept->left_out.empty()) {
        const auto& [volume, why] = *kept->left_out.begin();
        throw Error(ErrorKind::archive_refused,
                    what + "of '" + volume + "' it was not kept because " + why, way_out);
    }
    for (const KeptVolume& volume : kept->volumes) {
        const std::string place =
            volume.directory.empty() ? archive_of(directory) : volume.directory;
        if (!exists(place)) {
            throw Error(ErrorKind::archive_refused, what + "'" + place + "' is gone", way_out);
        }
    }
}

// What a copy holds that stays when the data of the other release is kept too.
std::uint64_t kept_bytes(const Machine& machine, const ServiceName& name, int release) {
    const std::optional<KeptData> kept = read_kept_data(machine.paths.kept_data(name, release));
    return kept ? kept->archived_bytes : 0;
}

// A rollback that was interrupted behind its commit is finished by the session: doing one more
// would go forward again.
bool is_committed(const Paths& paths, const ServiceName& name) {
    const std::vector<JournalRecord> journals = read_journals(paths, name);
    return std::any_of(journals.begin(), journals.end(), [](const JournalRecord& record) {
        return record.committed && record.verb == "rollback";
    });
}

}  // namespace

RollbackResult rollback(Machine& machine, const ServiceName& name, const RollbackRequest& request) {
    const bool was_committed = is_committed(machine.paths, name);
    const ServiceSession session(machine, name);
    const Manifest manifest = Catalog(machine.paths).load(name);
    require_own_engine(machine, manifest);
    if (was_committed) {
        return {Outcome::changed, manifest, {}};
    }
    const Release* const previous = manifest.find_release(manifest.previous);
    if (previous == nullptr) {
        return {Outcome::unchanged, manifest, {}};
    }
    const Release current = manifest.release();
    require_updatable(machine, manifest);
    require_whole(machine, name, *previous);
    review_scripts(machine, name, release_files(machine, name, previous->number),
                   words_for(*previous));
    const bool with_data = request.data && !previous->config.volumes.empty();
    if (with_data) {
        require_kept_data(machine, name, *previous);
    }
    require_idle_of_strangers(machine, name, volume_names(manifest));

    Manifest next = manifest;
    std::swap(next.current, next.previous);
    adopt_settings(next);
    const Release& target = next.release();
    std::erase(next.failed_digests, target.image_id);
    if (current.image_id != target.image_id) {
        remember(next.failed_digests, current.image_id);
    }
    const SnapshotPlan plan =
        plan_snapshot(machine, manifest.volumes, current.image_id,
                      with_data ? 0 : kept_bytes(machine, name, target.number));
    tell_facts(machine, name, facts_of(manifest), facts_of(next));
    tell_scripts(machine, name, release_files(machine, name, current.number),
                 release_files(machine, name, target.number));
    if (with_data) {
        tell_change(machine, "the data of the volumes is that which " + words_for(target) +
                                 " was left with");
    }
    if (machine.check) {
        return {Outcome::changed, next, differences(current, target)};
    }
    try {
        transact(machine, name, "rollback", [&](Transaction& transaction) {
            Journal& journal = transaction.journal();
            HealthGate gate(machine, name);
            transaction.perform(remember_containers(machine, name));
            transaction.perform(
                run_hook(machine, name, journal,
                         {Hook::update_start, current.config.version, {}, "rollback"}));
            gate.updatestart_returned();
            protect_data(machine, transaction, name, plan, current.number);
            if (with_data) {
                put_data_back(machine, transaction, name, target);
            }
            transaction.perform(link_release(machine, name, target.number));
            transaction.perform(write_manifest(machine, next));
            transaction.perform(write_variables(machine, next));
            transaction.perform(run_hook(
                machine, name, journal, {Hook::update_end, target.config.version, {}, "rollback"}));
            gate.require_healthy();
            perform_selftest(machine, transaction, next, "rollback");
            transaction.after_commit(settling_keep());
        });
    } catch (const Error& error) {
        throw error.within("cannot roll '" + name.text() + "' back" +
                           (error.rolled_back() ? ", everything is as it was" : ""));
    }
    return {Outcome::changed, next, differences(current, target)};
}

}  // namespace drunner
