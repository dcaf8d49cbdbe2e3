#include "operation/restore_plan.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "archive/image_tar.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/final_backup.hpp"
#include "operation/steps.hpp"
#include "operation/streamed_volumes.hpp"
#include "operation/volumes.hpp"

namespace drunner {

namespace {

// The old tool wrote down neither id nor digest, and many of its images are gone.
ImageChoice image_of_old_tool(Machine& machine, const ImageReference& reference) {
    machine.progress.note("the backup is of the drunner of 2016; what '" + reference.text() +
                          "' names now is used");
    try {
        return choose_image(machine, {reference, machine.config.pull, {}, {}});
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::image_not_found &&
            error.kind() != ErrorKind::registry_denied) {
            throw;
        }
        throw Error(error.kind(), error.what(),
                    "drunner restore FILE SERVICE --image REFERENCE, with an image that has the "
                    "same volumes in the same order");
    }
}

std::string listed(const std::vector<std::string>& names) {
    std::vector<std::string> shown;
    for (const std::string& name : names) {
        shown.push_back("'" + printable(name) + "'");
    }
    return shown.empty() ? "none" : join(shown, ", ");
}

void tell_difference(Machine& machine, const Manifest& manifest, const std::string& what,
                     bool partial) {
    if (!partial) {
        throw Error(ErrorKind::archive_refused, what,
                    "drunner restore FILE " + manifest.name.text() + " --partial");
    }
    machine.progress.warning(what);
}

// A volume of the old tool has the name of its path in its own, without what is no letter or digit.
bool names_path(const std::string& volume, const std::string& path) {
    std::string ending = "-";
    std::copy_if(path.begin(), path.end(), std::back_inserter(ending), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    });
    return volume.ends_with(ending);
}

// The old tool wrote down no paths: the first volume goes to the first path that the image
// declares, and so on.
std::map<std::string, std::string> match_by_position(Machine& machine, const BackupHeader& header,
                                                     const Manifest& manifest, bool partial) {
    const std::vector<std::string>& paths = manifest.release().config.volumes;
    std::vector<std::string> names;
    std::vector<std::string> absent;
    for (const BackupVolume& volume : header.volumes) {
        names.push_back(volume.name);
        if (volume.absent) {
            absent.push_back(volume.name);
        }
    }
    if (names.size() != paths.size()) {
        tell_difference(machine, manifest,
                        "volumes differ in number, and they go by position: the backup has " +
                            listed(names) + ", the image declares " + listed(paths),
                        partial);
    }
    if (!absent.empty()) {
        tell_difference(
            machine, manifest,
            "the backup names volumes that the old tool left out of it: " + listed(absent),
            partial);
    }
    std::map<std::string, std::string> matched;
    for (std::size_t i = 0; i < std::min(names.size(), paths.size()); ++i) {
        if (header.volumes[i].absent) {
            continue;
        }
        const auto volume =
            std::find_if(manifest.volumes.begin(), manifest.volumes.end(),
                         [&](const ManagedVolume& one) { return one.path == paths[i]; });
        if (volume == manifest.volumes.end()) {
            throw Error(ErrorKind::broken,
                        "'" + manifest.name.text() + "' has no volume for '" + paths[i] + "'",
                        "drunner recover " + manifest.name.text());
        }
        matched[header.volumes[i].path] = volume->name;
        if (!names_path(names[i], paths[i])) {
            machine.progress.warning("'" + names[i] + "' of the backup goes to '" + paths[i] +
                                     "', because both stand at the same position");
        }
    }
    return matched;
}

}  // namespace

RestoreImage image_for(Machine& machine, BackupReader& reader, const RestoreRequest& request) {
    const BackupHeader& header = reader.header();
    if (request.image) {
        return {*request.image,
                choose_image(machine, {*request.image, machine.config.pull, {}, {}})};
    }
    if (header.image_reference.empty()) {
        throw Error(ErrorKind::archive_refused,
                    header.from_old_tool
                        ? "the backup names no image"
                        : "the backup names no image: it was made of volumes whose service was "
                          "uninstalled before",
                    "add --image REFERENCE");
    }
    const ImageReference reference(header.image_reference);
    if (header.from_old_tool) {
        return {reference, image_of_old_tool(machine, reference)};
    }
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
    if (header.from_old_tool) {
        return match_by_position(machine, header, manifest, partial);
    }
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
        tell_difference(machine, manifest, "volumes differ: " + join(unmatched, ", "), partial);
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

namespace {

void tell_room(Machine& machine, const BackupReader& reader, const std::string& directory) {
    machine.progress.note(
        (reader.packed_bytes
             ? "the backup takes " + human_size(*reader.packed_bytes) + " as it is packed, and "
             : std::string()) +
        human_size(free_space(directory)) + " are free in '" + printable(directory) + "'");
}

}  // namespace

FilledBeside fill_beside(Machine& machine, Transaction& transaction, BackupReader& reader,
                         const ServiceName& name, const std::string& image,
                         const std::map<std::string, std::string>& matched) {
    const std::string outer = machine.paths.service(name) + "/restore-" + transaction.id();
    FilledBeside filled;
    filled.hook_directory = outer + "/files";
    RestoreTargets targets;
    targets.hook_directory = filled.hook_directory;
    VolumeAccess access(machine);
    std::map<std::string, std::string> streamed;
    for (const auto& [path, volume] : matched) {
        const std::optional<Volume> found = machine.engine.find_volume(volume);
        if (found && !access.why_streamed(*found).empty()) {
            streamed[path] = volume;
            filled.streamed.push_back(volume);
            continue;
        }
        const std::string directory = staging_directory(access.directory(volume), transaction.id());
        transaction.perform(make_path(directory, [&] { make_directories(directory); }));
        transaction.after_commit(removing_path(directory));
        targets.volumes[path] = directory;
        filled.volumes[volume] = directory;
    }
    if (!filled.volumes.empty()) {
        tell_room(machine, reader, parent_of(filled.volumes.begin()->second));
    }
    transaction.after_commit(removing_path(outer));
    std::unique_ptr<MountedVolumes> mounted;
    if (!streamed.empty()) {
        tell_streamed_writing(machine, filled.streamed);
        transaction.perform(set_volumes_aside(machine, image, transaction.id(), filled.streamed));
        transaction.after_commit(dropping_set_aside(image, transaction.id(), filled.streamed));
        transaction.perform(
            mount_volumes(machine, image, transaction.id(), filled.streamed, mounted));
        for (const auto& [path, volume] : streamed) {
            targets.streams[path] = mounted->stream(volume);
        }
    }
    transaction.perform(make_path(outer, [&] {
        make_directories(outer, 0700);
        make_directories(filled.hook_directory, 0777);
        filled.result = reader.extract(targets, machine.progress);
    }));
    return filled;
}

}  // namespace drunner
