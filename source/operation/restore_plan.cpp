#include "operation/restore_plan.hpp"

#include <algorithm>
#include <set>

#include "archive/image_tar.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/final_backup.hpp"
#include "operation/steps.hpp"
#include "operation/volumes.hpp"

namespace drunner {

RestoreImage image_for(Machine& machine, BackupReader& reader, const RestoreRequest& request) {
    const BackupHeader& header = reader.header();
    if (request.image) {
        return {*request.image,
                choose_image(machine, {*request.image, machine.config.pull, {}, {}})};
    }
    if (header.image_reference.empty()) {
        throw Error(ErrorKind::archive_refused,
                    "the backup names no image: it was made of volumes whose service was "
                    "uninstalled before",
                    "add --image REFERENCE");
    }
    const ImageReference reference(header.image_reference);
    if (auto image = machine.engine.find_image(header.image_id)) {
        machine.progress.note("the image of the backup is here: " + image->id);
        return {reference, {std::move(*image), false}};
    }
    if (header.image_embedded && machine.check) {
        Image embedded;
        embedded.id = header.image_id;
        return {reference, {std::move(embedded), false}};
    }
    if (header.image_embedded) {
        reader.read_image([&](const ByteSource& tar) {
            machine.engine.load_image(without_image_names(tar), machine.progress);
        });
        auto image = machine.engine.find_image(header.image_id);
        if (!image) {
            throw Error(ErrorKind::archive_refused,
                        "the image in the backup is not the one that its header names (" +
                            printable(header.image_id) + ")",
                        "drunner restore FILE SERVICE --image REFERENCE");
        }
        machine.progress.note("the image of the backup was in it: " + image->id);
        return {reference, {std::move(*image), false}};
    }
    if (!header.image_digest.empty() && machine.config.pull != PullPolicy::never) {
        const ImageReference exact(reference.familiar_repository() + "@" + header.image_digest);
        try {
            ImageChoice choice = choose_image(machine, {exact, PullPolicy::missing, {}, {}});
            machine.progress.note("the image of the backup is '" + exact.text() + "'");
            return {reference, std::move(choice)};
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
            unmatched.push_back("'" + printable(volume.path) + "' is not a volume of the service");
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

Secrets secrets_for(const BackupHeader& header, const std::string& consumed_file) {
    Secrets secrets = header.secrets;
    if (!consumed_file.empty()) {
        const SecretStore kept(kept_secrets(consumed_file));
        for (const std::string& name : header.secrets_left_out) {
            if (const auto content = kept.find(name)) {
                secrets.emplace(name, *content);
            }
        }
    }
    try {
        check_secrets(secrets);
        for (const std::string& name : header.secrets_left_out) {
            check_secret_name(name);
        }
    } catch (const Error& error) {
        throw Error(ErrorKind::archive_refused, "in the backup " + std::string(error.what()));
    }
    return secrets;
}

void adopt_secrets(Manifest& manifest, const BackupHeader& header, const Secrets& secrets) {
    std::set<std::string> names(manifest.secrets.begin(), manifest.secrets.end());
    names.insert(header.secrets_left_out.begin(), header.secrets_left_out.end());
    for (const auto& [name, content] : secrets) {
        names.insert(name);
    }
    manifest.secrets.assign(names.begin(), names.end());
}

std::vector<std::string> tell_missing_secrets(Machine& machine, const Manifest& manifest) {
    const SecretStore store(machine.paths.secrets(manifest.name));
    std::vector<std::string> missing = missing_secrets(store, manifest);
    if (!missing.empty()) {
        machine.progress.warning("secrets are missing: " + join(missing, ", ") +
                                 "; 'drunner secret " + manifest.name.text() + " set " +
                                 missing.front() + " <FILE' sets one");
    }
    return missing;
}

RestoreReport rehearse_restore(Machine& machine, BackupReader& reader, Manifest manifest) {
    RestoreReport report{std::move(manifest), {}, {}};
    report.result = reader.verify([](const BackupReader::Member&) {}, machine.progress);
    return report;
}

FilledBeside fill_beside(Machine& machine, Transaction& transaction, BackupReader& reader,
                         const ServiceName& name,
                         const std::map<std::string, std::string>& matched) {
    const std::string outer = machine.paths.service(name) + "/restore-" + transaction.id();
    FilledBeside filled;
    filled.hook_directory = outer + "/files";
    RestoreTargets targets;
    targets.hook_directory = filled.hook_directory;
    VolumeAccess access(machine);
    for (const auto& [path, volume] : matched) {
        const std::string directory = staging_directory(access.directory(volume), transaction.id());
        transaction.perform(make_path(directory, [&] { make_directories(directory); }));
        transaction.after_commit(removing_path(directory));
        targets.volumes[path] = directory;
        filled.volumes[volume] = directory;
    }
    transaction.after_commit(removing_path(outer));
    transaction.perform(make_path(outer, [&] {
        make_directories(outer, 0700);
        make_directories(filled.hook_directory, 0777);
        filled.result = reader.extract(targets, machine.progress);
    }));
    return filled;
}

}  // namespace drunner
