#include "fakes/fake_registry.hpp"

#include "core/error.hpp"

namespace drunner::test {
namespace {

using Verdict = ManifestAnswer::Verdict;

std::string key_of(const ImageReference& reference) {
    return reference.repository() + (reference.digest().empty() ? ":" : "@") + reference.manifest();
}

}  // namespace

std::string FakeRegistry::publish(const std::string& reference, const FakeImage& image) {
    const std::lock_guard lock(mutex_);
    const ImageReference parsed(reference);
    const PublishedImage published{image, fake_digest("manifest " + fake_image_id(image))};
    images_[key_of(parsed)] = published;
    images_[parsed.repository() + "@" + published.digest] = published;
    return published.digest;
}

void FakeRegistry::withdraw(const std::string& reference) {
    const std::lock_guard lock(mutex_);
    images_.erase(key_of(ImageReference(reference)));
}

void FakeRegistry::answer(const std::string& domain, Verdict verdict) {
    const std::lock_guard lock(mutex_);
    if (verdict == Verdict::found) {
        verdicts_.erase(domain);
    } else {
        verdicts_[domain] = verdict;
    }
}

FakeRegistry::Delivery FakeRegistry::look_up(const ImageReference& reference) const {
    if (const auto verdict = verdicts_.find(reference.domain()); verdict != verdicts_.end()) {
        return {verdict->second, std::nullopt};
    }
    const auto found = images_.find(key_of(reference));
    if (found == images_.end()) {
        return {Verdict::not_found, std::nullopt};
    }
    return {Verdict::found, found->second};
}

FakeRegistry::Delivery FakeRegistry::deliver(const ImageReference& reference) {
    const std::lock_guard lock(mutex_);
    return look_up(reference);
}

std::vector<std::string> FakeRegistry::asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
}

ManifestAnswer FakeRegistry::resolve(const ImageReference& reference) {
    if (!reference.digest().empty()) {
        return {Verdict::found, reference.digest(), ""};
    }
    const std::lock_guard lock(mutex_);
    asked_.push_back(reference.text());
    const Delivery delivery = look_up(reference);
    if (delivery.published) {
        return {Verdict::found, delivery.published->digest, ""};
    }
    return {delivery.verdict, "", "'" + reference.text() + "': the fake registry was told so"};
}

Image FakeRegistry::describe(const ImageReference& reference) {
    const Delivery delivery = deliver(reference);
    const std::string what = "'" + reference.text() + "': the fake registry was told so";
    switch (delivery.verdict) {
        case Verdict::not_found:
            throw Error(ErrorKind::image_not_found, what);
        case Verdict::denied:
            throw Error(ErrorKind::registry_denied, what);
        case Verdict::unreachable:
            throw Error(ErrorKind::registry_unreachable, what);
        case Verdict::found:
            break;
    }
    const FakeImage& published = delivery.published->image;
    Image image;
    image.id = fake_image_id(published);
    image.digests = {reference.familiar_repository() + "@" + delivery.published->digest};
    image.user = published.user;
    image.entrypoint = published.entrypoint;
    image.command = published.command;
    image.environment = published.environment;
    image.volumes = published.volumes;
    image.labels = published.labels;
    image.os = "linux";
    image.architecture = "amd64";
    image.has_healthcheck = published.has_healthcheck;
    return image;
}

RegistryAuth FakeRegistry::credentials(const ImageReference&) {
    return {};
}

}  // namespace drunner::test
