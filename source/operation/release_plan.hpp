#pragma once

#include <string>
#include <vector>

#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/machine.hpp"
#include "service/manifest.hpp"

namespace drunner {

// The manifest of a service that is about to be installed: everything but its releases.
Manifest new_manifest(const Machine& machine, const ServiceName& name);

// The release that an inspected image makes, with its extra images chosen (and pulled where they
// are absent or have moved). `current` is the release that it replaces, nullptr at install;
// `pulled` gets the ids that were pulled.
Release plan_release(Machine& machine, const InspectedImage& inspected,
                     const ImageReference& reference, int number, PullPolicy policy,
                     const Release* current, std::vector<std::string>& pulled);

// Every release that the manifest or the disk knows.
std::vector<int> release_numbers(const Machine& machine, const Manifest& manifest);

// The number for a service's next release: above every one that the manifest or the disk knows.
int next_release_number(const Machine& machine, const Manifest& manifest);

// The per-service word where there is one, else the operator's setting.
PullPolicy pull_policy_of(const Machine& machine, const std::string& word);

// Adds what is not there yet.
void remember(std::vector<std::string>& ids, const std::string& id);

}  // namespace drunner
