#include "core/error.hpp"
#include "host/file.hpp"
#include "operation/build_context.hpp"
#include "operation/image_choice.hpp"
#include "operation/image_inspection.hpp"
#include "operation/operations.hpp"
#include "operation/script_remarks.hpp"

namespace drunner {
namespace {

Image image_of(Machine& machine, const ImageReference& reference) {
    return choose_image(machine, {reference, machine.config.pull, {}, {}}).image;
}

EarlierFacts earlier_image(Machine& machine, const ImageReference& reference) {
    const ImageFacts facts = read_image(machine, image_of(machine, reference), reference.text());
    if (!facts.config || !facts.resolved_user) {
        throw Error(ErrorKind::image_refused,
                    "the earlier image '" + reference.text() + "' breaks the contract itself",
                    "drunner checkimage " + reference.text());
    }
    EarlierFacts earlier{reference.text(), *facts.config, *facts.resolved_user, {}};
    if (const auto runner = facts.files->find("servicerunner"); runner != facts.files->end()) {
        earlier.runner = runner->second.content;
    }
    return earlier;
}

// What is installed of the same repository: the first by name.
std::optional<EarlierFacts> installed_release(Machine& machine, const ImageReference& reference) {
    const Catalog catalog(machine.paths);
    for (const ServiceName& name : catalog.names()) {
        try {
            const auto manifest = catalog.find(name);
            if (!manifest) {
                continue;
            }
            const Release& release = manifest->release();
            if (ImageReference(release.reference).repository() == reference.repository()) {
                return EarlierFacts{name.text(),
                                    release.config,
                                    {release.uid, release.gid},
                                    read_file(machine.paths.servicerunner(name))};
            }
        } catch (const Error&) {
            // A broken installation is nothing to compare with.
            continue;
        }
    }
    return std::nullopt;
}

}  // namespace

Judgement check_image(Machine& machine, const ImageReference& reference,
                      const std::optional<ImageReference>& earlier) {
    const Image image = image_of(machine, reference);
    ImageFacts facts = read_image(machine, image, reference.text());
    read_image_details(machine, image, facts);
    facts.earlier =
        earlier ? earlier_image(machine, *earlier) : installed_release(machine, reference);
    read_script_remarks(facts);
    return judge(facts);
}

Judgement check_build_context(const std::string& directory,
                              const std::function<Machine&()>& machine,
                              const std::optional<ImageReference>& earlier) {
    ImageFacts facts = read_build_context(directory);
    if (earlier) {
        facts.earlier = earlier_image(machine(), *earlier);
    }
    read_script_remarks(facts);
    return judge(facts);
}

}  // namespace drunner
