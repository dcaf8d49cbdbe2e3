#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "archive/image_files.hpp"
#include "operation/image_choice.hpp"
#include "operation/machine.hpp"
#include "operation/transaction.hpp"
#include "service/manifest.hpp"

namespace drunner {

// What install and restore share: everything that an installation needs, decided before the first
// change.
struct InstallPlan {
    Manifest manifest;
    ImageFiles files;
    std::vector<ManagedVolume> volumes_to_make;
    // Volumes that exist and are empty when perform_install begins, which get the image's content
    // as new ones do.
    std::vector<ManagedVolume> emptied_volumes = {};
    bool files_known = true;   // as in InspectedImage
    bool config_known = true;  // as in InspectedImage; false: so are the volumes
};

// Reads and checks the image and decides about its volumes. Changes nothing but images.
InstallPlan plan_install(Machine& machine, const ServiceName& name, const ImageReference& image,
                         const ImageChoice& choice, const std::string& pull_word);

// Tells what the plan makes.
void tell_install(Machine& machine, const InstallPlan& plan);

// Throws where the name or its launcher's place is taken.
void require_free_name(const Machine& machine, const ServiceName& name);
// Throws where another installation has a service of that name on the engine; removes the kept
// container of one of ours whose files are gone, but with --check.
void require_free_of_others(Machine& machine, const Manifest& manifest);

// SERVICETEMPDIR is emptied at install, update and uninstall, and only then.
void renew_temp_directory(Machine& machine, Transaction& transaction, const ServiceName& name);
// The steps from nothing to the `install` hook.
void perform_install(Machine& machine, Transaction& transaction, const InstallPlan& plan,
                     std::string_view verb);
// Runs `selftest` where servicecfg.sh sets SELFTEST=yes.
void perform_selftest(Machine& machine, Transaction& transaction, const Manifest& manifest,
                      std::string_view verb);

}  // namespace drunner
