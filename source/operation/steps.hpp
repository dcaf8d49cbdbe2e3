#pragma once

#include <map>
#include <string>
#include <vector>

#include "archive/image_files.hpp"
#include "operation/machine.hpp"
#include "operation/transaction.hpp"
#include "operation/volumes.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The steps that operations share. Each makes one Step; what undoes it stands beside it in
// steps.cpp, under the same name in the step table.

// Writes releases/N: the image's files, the generated ones, imagename.sh.
Step write_release(Machine& machine, const Manifest& manifest, const Release& release,
                   const ImageFiles& files);
// An empty SERVICETEMPDIR; the old one goes `aside`, to be removed after the commit.
Step renew_temp(Machine& machine, const ServiceName& service, const std::string& aside);
// Tags the release's image as localhost/drunner:S.N.
Step pin_image(Machine& machine, const ServiceName& service, const Release& release);
// Makes one volume, labelled.
Step make_volume(Machine& machine, const Manifest& manifest, const ManagedVolume& volume,
                 const std::string& operation);
// Lets the engine copy the image's content into the new volumes, once, and gives each top directory
// to the image's user.
Step fill_new_volumes(Machine& machine, const Release& release,
                      const std::vector<ManagedVolume>& made, const std::string& operation);
// Makes drunner-keep-S for the manifest's current release. It fills the volumes in `made` as
// fill_new_volumes does: an engine takes as long to make one container more as for all the rest.
Step make_keep_container(Machine& machine, const Manifest& manifest,
                         const std::vector<ManagedVolume>& made, const std::string& operation);
// Points services/S/drunner (and with it imagename.sh) at the release: the switch.
Step link_release(Machine& machine, const ServiceName& service, int number);
Step write_manifest(Machine& machine, const Manifest& manifest);
// Writes the current release's variables.sh anew.
Step write_variables(Machine& machine, const Manifest& manifest);
Step make_launcher(Machine& machine, const std::string& link);
// Performs nothing: its undo brings the containers of the service back as they are now. To be
// performed before anything that may touch them.
Step remember_containers(Machine& machine, const ServiceName& service);
// Runs a hook of the scripts in `scripts` ("" = the current ones) and throws Error(script_failed)
// with its last lines where it fails. What undoes an install hook is the uninstall hook and the
// removal of the service's containers; what undoes backupstart is backupend.
struct HookStep {
    Hook hook = Hook::install;
    int version = 1;
    std::vector<std::string> arguments;
    std::string operation;             // the verb
    std::optional<Secret> input = {};  // stdin; not in the journal
};
Step run_hook(Machine& machine, const ServiceName& service, Journal& journal, HookStep hook);
// Stops the service's containers, which `record` (record_containers, as JSON text) describes. What
// was run with --rm is gone then: restore_containers brings all of them back.
Step stop_service(Machine& machine, const ServiceName& service, const std::string& record);
// Pauses those of them that run.
Step pause_service(Machine& machine, const ServiceName& service, const std::string& record);
// Exchanges the content of the volumes with the directories beside them (volume name -> directory,
// on the volume's file system). The directories then hold the old content.
Step exchange_volume_data(Machine& machine, const std::map<std::string, std::string>& beside);
// Performs `perform`; undone by removing the path (a tree of drunner's own).
Step make_path(std::string path, std::function<void()> perform);

// Runs a hook outside a step: reported, never thrown (except Error(interrupted)). True where it
// succeeded or does not exist.
bool run_tolerant_hook(Machine& machine, const ServiceName& service, Journal& journal,
                       const HookStep& hook);
// Runs a hook that belongs to no transaction; throws Error(script_failed) where it fails.
void run_plain_hook(Machine& machine, const ServiceName& service, const HookStep& hook);

// Removes the release's tag. Where a container still uses the image, and the image has no other
// name, the tag stays and that is said: `doctor` finds it.
void remove_pin(Machine& machine, const ServiceName& service, int release);

// Work after the commit.
Finish removing_path(const std::string& path);
// Makes a snapshot (data_snapshot.hpp) the data that the release was left with, in place of older
// data of it.
Finish keeping_data(int release, const std::string& snapshot);
// Removes kept data, or a snapshot, where it is there.
Finish removing_data(const std::string& directory);
// remove_pin of the release.
Finish removing_pin(int release);
// drunner-keep-S for the current release, and a second one for the previous one's image.
Finish settling_keep();
Finish removing_keep();
Finish removing_containers();
Finish removing_networks();
// Those labelled with the service and the installation, and these, which have no labels.
Finish removing_volumes(const std::vector<std::string>& unlabelled,
                        const std::string& installation);
Finish removing_launcher(const std::string& link);
// Everything in services/S except the journal.
Finish removing_service_files();

}  // namespace drunner
