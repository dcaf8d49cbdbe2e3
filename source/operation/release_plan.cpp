#include "operation/release_plan.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "host/file.hpp"
#include "operation/review.hpp"
#include "operation/volumes.hpp"

namespace drunner {

Manifest new_manifest(const Machine& machine, const ServiceName& name) {
    const std::string launcher = machine.config.launcher_directory + "/" + name.text();
    return {name,
            installation_id(machine),
            machine.engine_socket,
            launcher,
            "",
            0,
            0,
            {},
            {},
            {},
            {},
            {},
            {}};
}

Release plan_release(Machine& machine, const InspectedImage& inspected,
                     const ImageReference& reference, int number, PullPolicy policy,
                     const Release* current, std::vector<std::string>& pulled) {
    Release release;
    release.number = number;
    release.image_id = inspected.image.id;
    release.image_digest = own_digest(inspected.image, reference);
    release.reference = reference.text();
    release.user = inspected.image.user;
    release.uid = inspected.user.uid;
    release.gid = inspected.user.gid;
    release.installed_at = iso8601(machine.clock.now());
    release.config = inspected.config;
    release.script_hashes = script_hashes(inspected.files);
    for (const std::string& extra : inspected.config.extra_containers) {
        ImageQuestion question{ImageReference(extra), policy, {}, pulled};
        if (current != nullptr) {
            const auto known =
                std::find_if(current->extra_images.begin(), current->extra_images.end(),
                             [&](const ExtraImage& one) { return one.reference == extra; });
            if (known != current->extra_images.end()) {
                question.installed = known->id;
            }
        }
        const ImageChoice choice = choose_image(machine, question);
        if (choice.pulled) {
            remember(pulled, choice.image.id);
        }
        release.extra_images.push_back(
            {extra, choice.image.id, own_digest(choice.image, question.reference)});
    }
    return release;
}

std::vector<int> release_numbers(const Machine& machine, const Manifest& manifest) {
    std::set<int> numbers;
    for (const Release& release : manifest.releases) {
        numbers.insert(release.number);
    }
    for (const std::string& entry : directory_entries(machine.paths.releases(manifest.name))) {
        int number = 0;
        std::from_chars(entry.data(), entry.data() + entry.size(), number);
        if (number > 0) {
            numbers.insert(number);
        }
    }
    return {numbers.begin(), numbers.end()};
}

int next_release_number(const Machine& machine, const Manifest& manifest) {
    const std::vector<int> numbers = release_numbers(machine, manifest);
    return numbers.empty() ? 1 : numbers.back() + 1;
}

PullPolicy pull_policy_of(const Machine& machine, const std::string& word) {
    return parse_pull_policy(word).value_or(machine.config.pull);
}

void remember(std::vector<std::string>& ids, const std::string& id) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
        ids.push_back(id);
    }
}

}  // namespace drunner
