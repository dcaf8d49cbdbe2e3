#include "fakes/fake_engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <type_traits>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/pull_error.hpp"
#include "engine/rest_engine.hpp"
#include "fakes/tar.hpp"

namespace drunner::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t shortest_id = 12;
constexpr std::string_view name_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

void check_name(std::string_view name) {
    if (name.size() < 2 || name.find_first_of("_.-") == 0 ||
        name.find_first_not_of(name_characters) != std::string_view::npos) {
        throw Error(ErrorKind::engine_refused, "invalid name '" + std::string(name) + "'");
    }
}

bool is_hex(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool has_labels(const Labels& labels, const std::vector<std::string>& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
        const std::size_t equals = text.find('=');
        const auto found = labels.find(text.substr(0, equals));
        return found != labels.end() &&
               (equals == std::string::npos || found->second == text.substr(equals + 1));
    });
}

std::string tag_key(const ImageReference& reference) {
    return reference.repository() + ":" + reference.tag_or_latest();
}

std::string familiar(const std::string& key) {
    const ImageReference reference(key);
    return reference.engine_name();
}

bool is_within(const std::string& path, const std::string& directory) {
    return path == directory || directory == "/" || path.starts_with(directory + "/");
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error("fake engine: " + what + ": " + std::strerror(errno));
}

FakeFile read_host_file(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        fail("cannot look at " + path);
    }
    FakeFile file;
    file.mode = status.st_mode & 07777U;
    file.uid = status.st_uid;
    file.gid = status.st_gid;
    if (S_ISDIR(status.st_mode)) {
        file.type = FakeFile::Type::directory;
    } else if (S_ISLNK(status.st_mode)) {
        file.type = FakeFile::Type::symlink;
        file.content = fs::read_symlink(path).string();
    } else {
        std::ifstream stream(path, std::ios::binary);
        std::ostringstream content;
        content << stream.rdbuf();
        file.content = content.str();
    }
    return file;
}

void write_host_file(const std::string& path, const FakeFile& file) {
    if (file.type == FakeFile::Type::directory) {
        fs::create_directories(path);
    } else {
        fs::remove_all(path);
        fs::create_directories(fs::path(path).parent_path());
        if (file.type == FakeFile::Type::symlink) {
            fs::create_symlink(file.content, path);
        } else {
            std::ofstream(path, std::ios::binary) << file.content;
        }
    }
    if (lchown(path.c_str(), file.uid, file.gid) != 0) {
        fail("cannot change the owner of " + path);
    }
    if (file.type != FakeFile::Type::symlink && chmod(path.c_str(), file.mode) != 0) {
        fail("cannot change the mode of " + path);
    }
}

// Adds the directories that are only parts of paths.
void complete(FakeFiles& files) {
    FakeFiles parents{{"/", fake_directory(0, 0)}};
    for (const auto& [path, ignored] : files) {
        for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
             slash = path.find('/', slash + 1)) {
            parents.emplace(path.substr(0, slash), fake_directory(0, 0));
        }
    }
    files.merge(parents);
}

std::vector<std::string> words_of(const json& body, const char* key) {
    const json value = body.value(key, json());
    return value.is_array() ? value.get<std::vector<std::string>>() : std::vector<std::string>();
}

std::vector<VolumeMount> mounts_of(const json& host) {
    std::vector<VolumeMount> mounts;
    for (const json& mount : host.value("Mounts", json::array())) {
        if (mount.value("Type", "") == "volume") {
            const json options = mount.value("VolumeOptions", json::object());
            mounts.push_back({mount.value("Source", ""), normalised(mount.value("Target", "")),
                              !options.value("NoCopy", false)});
        }
    }
    if (host.contains("Binds") && host["Binds"].is_array()) {
        for (const json& bind : host["Binds"]) {
            const auto parts = split(bind.get<std::string>(), ':');
            if (parts.size() >= 2 && !parts[0].starts_with('/')) {
                const bool nocopy =
                    parts.size() > 2 && parts[2].find("nocopy") != std::string::npos;
                mounts.push_back({parts[0], normalised(parts[1]), !nocopy});
            }
        }
    }
    return mounts;
}

bool is_active(const FakeContainer& container) {
    return container.state == "running" || container.state == "paused" ||
           container.state == "restarting";
}

std::string status_of(const FakeContainer& container) {
    if (container.state == "created") {
        return "Created";
    }
    return is_active(container) ? "Up 1 second"
                                : fmt::format("Exited ({}) 1 second ago", container.exit_code);
}

std::vector<Mount> listed_mounts(const FakeContainer& container) {
    std::vector<Mount> mounts;
    for (const VolumeMount& mount : container.mounts) {
        mounts.push_back({mount.volume, "", mount.path, false});
    }
    return mounts;
}

void send(const ByteSink& sink, std::string_view text) {
    if (!text.empty()) {
        sink(as_bytes(text));
    }
}

std::string last_part(const std::string& text, unsigned lines) {
    if (lines == 0) {
        return text;
    }
    std::size_t start = text.size();
    for (unsigned seen = 0; start > 0; --start) {
        if (text[start - 1] == '\n' && start != text.size() && ++seen == lines) {
            break;
        }
    }
    return text.substr(start);
}

}  // namespace

FakeEngine::FakeEngine(std::string root, FakeRegistry* registry)
    : root_(std::move(root)), registry_(registry) {
    fs::create_directories(root_ + "/volumes");
}

template <typename Effect>
auto FakeEngine::perform(std::string_view verb, std::string_view object, Effect&& effect) {
    const std::lock_guard lock(mutex_);
    const std::string call = std::string(verb) + (object.empty() ? "" : " " + std::string(object));
    calls_.push_back(call);
    const auto tell = [&](bool before) {
        if (observer_) {
            observer_(call, before);
        }
    };
    tell(true);
    if constexpr (std::is_void_v<std::invoke_result_t<Effect>>) {
        effect();
        tell(false);
    } else {
        auto result = effect();
        tell(false);
        return result;
    }
}

std::string FakeEngine::add_image(const std::string& reference, const FakeImage& image) {
    const std::lock_guard lock(mutex_);
    const std::string id = fake_image_id(image);
    images_[id].image = image;
    move_tag(tag_key(ImageReference(reference)), id);
    return id;
}

void FakeEngine::add_network(const std::string& name, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    networks_.push_back({fake_digest("network " + name).substr(7), name, labels});
}

void FakeEngine::observe(Observer observer) {
    const std::lock_guard lock(mutex_);
    observer_ = std::move(observer);
}

void FakeEngine::run_programs_with(std::function<FakeProgram(const FakeContainer&)> programs) {
    const std::lock_guard lock(mutex_);
    programs_ = std::move(programs);
}

void FakeEngine::change_container(std::string_view container,
                                  const std::function<void(FakeContainer&)>& change) {
    const std::lock_guard lock(mutex_);
    change(get(container));
}

void FakeEngine::prune_volumes() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> unused;
    for (const auto& [name, ignored] : volumes_) {
        if (!is_mentioned(name)) {
            unused.push_back(name);
        }
    }
    for (const std::string& name : unused) {
        erase_volume(name);
    }
}

void FakeEngine::prune_images() {
    const std::lock_guard lock(mutex_);
    std::erase_if(images_, [&](const auto& image) {
        return std::none_of(containers_.begin(), containers_.end(), [&](const auto& container) {
            return container.second.image_id == image.first;
        });
    });
}

std::vector<std::string> FakeEngine::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

EngineInfo FakeEngine::info() {
    return perform("info", "", [&] { return engine_info; });
}

void FakeEngine::move_tag(const std::string& tag, const std::string& id) {
    for (auto& [ignored, held] : images_) {
        held.tags.erase(tag);
    }
    images_.at(id).tags.insert(tag);
}

std::string FakeEngine::find_image_id(std::string_view reference) const {
    const std::string_view digits =
        reference.starts_with("sha256:") ? reference.substr(7) : reference;
    try {
        if (digits == reference) {
            const ImageReference parsed(reference);
            for (const auto& [id, held] : images_) {
                if (parsed.digest().empty()
                        ? held.tags.contains(tag_key(parsed))
                        : held.digests.contains(parsed.repository() + "@" + parsed.digest())) {
                    return id;
                }
            }
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::invalid_reference) {
            throw;
        }
    }
    for (const auto& [id, ignored] : images_) {
        if (is_hex(digits) && digits.size() >= shortest_id && id.substr(7).starts_with(digits)) {
            return id;
        }
    }
    return "";
}

std::optional<Image> FakeEngine::find_image(std::string_view reference) {
    return perform("find_image", reference, [&]() -> std::optional<Image> {
        const std::string id = find_image_id(reference);
        if (id.empty()) {
            return std::nullopt;
        }
        const HeldImage& held = images_.at(id);
        Image image;
        image.id = id;
        for (const std::string& tag : held.tags) {
            image.tags.push_back(familiar(tag));
        }
        for (const std::string& digest : held.digests) {
            image.digests.push_back(familiar(digest));
        }
        image.user = held.image.user;
        image.entrypoint = held.image.entrypoint;
        image.command = held.image.command;
        image.environment = held.image.environment;
        image.volumes = held.image.volumes;
        image.labels = held.image.labels;
        image.os = "linux";
        image.architecture = "amd64";
        image.has_healthcheck = held.image.has_healthcheck;
        for (const auto& [ignored, file] : held.image.files) {
            image.size += file.content.size();
        }
        return image;
    });
}

void FakeEngine::pull_image(const ImageReference& reference, const RegistryAuth&, Progress&) {
    perform("pull_image", reference.text(), [&] {
        const auto delivery = registry_ == nullptr
                                  ? FakeRegistry::Delivery{ManifestAnswer::Verdict::unreachable, {}}
                                  : registry_->deliver(reference);
        switch (delivery.verdict) {
            case ManifestAnswer::Verdict::not_found:
                throw pull_error(reference, "manifest unknown", false);
            case ManifestAnswer::Verdict::denied:
                throw pull_error(reference, "unauthorized: authentication required", false);
            case ManifestAnswer::Verdict::unreachable:
                throw pull_error(reference, "dial tcp: connection refused", false);
            case ManifestAnswer::Verdict::found:
                break;
        }
        const std::string id = fake_image_id(delivery.published->image);
        HeldImage& held = images_[id];
        held.image = delivery.published->image;
        held.digests.insert(reference.repository() + "@" + delivery.published->digest);
        if (reference.digest().empty()) {
            move_tag(tag_key(reference), id);
        }
    });
}

std::optional<std::string> FakeEngine::distribution_digest(const ImageReference& reference,
                                                           const RegistryAuth&) {
    return perform("distribution_digest", reference.text(), [&]() -> std::optional<std::string> {
        const auto delivery = registry_ == nullptr
                                  ? FakeRegistry::Delivery{ManifestAnswer::Verdict::unreachable, {}}
                                  : registry_->deliver(reference);
        if (!delivery.published) {
            throw pull_error(reference, "dial tcp: connection refused", false);
        }
        return delivery.published->digest;
    });
}

void FakeEngine::tag_image(std::string_view image, std::string_view repository,
                           std::string_view tag) {
    const std::string target = std::string(repository) + ":" + std::string(tag);
    perform("tag_image", target, [&] {
        const std::string id = find_image_id(image);
        if (id.empty()) {
            throw Error(ErrorKind::engine_not_found, "no such image: " + std::string(image));
        }
        move_tag(tag_key(ImageReference(target)), id);
    });
}

std::vector<ImageTag> FakeEngine::list_tags(std::string_view repository) {
    return perform("list_tags", repository, [&] {
        std::vector<ImageTag> tags;
        for (const auto& [id, held] : images_) {
            for (const std::string& tag : held.tags) {
                if (familiar(tag).starts_with(std::string(repository) + ":")) {
                    tags.push_back({id, familiar(tag)});
                }
            }
        }
        return tags;
    });
}

bool FakeEngine::remove_image(std::string_view reference) {
    return perform("remove_image", reference, [&] {
        const std::string id = find_image_id(reference);
        if (id.empty()) {
            return false;
        }
        HeldImage& held = images_.at(id);
        const bool by_id = reference.starts_with("sha256:") || is_hex(reference);
        if (by_id && held.tags.size() > 1) {
            throw Error(ErrorKind::engine_conflict, "the image has several tags");
        }
        if (!by_id && held.tags.size() > 1) {
            held.tags.erase(tag_key(ImageReference(reference)));
            return true;
        }
        for (const auto& [ignored, container] : containers_) {
            if (container.image_id == id) {
                throw Error(ErrorKind::engine_conflict,
                            "container '" + container.name + "' uses the image");
            }
        }
        images_.erase(id);
        return true;
    });
}

FakeContainer* FakeEngine::look_up(std::string_view container) {
    for (auto& [id, held] : containers_) {
        if (held.name == container) {
            return &held;
        }
    }
    for (auto& [id, held] : containers_) {
        if (is_hex(container) && container.size() >= shortest_id && id.starts_with(container)) {
            return &held;
        }
    }
    return nullptr;
}

FakeContainer& FakeEngine::get(std::string_view container) {
    FakeContainer* held = look_up(container);
    if (held == nullptr) {
        throw Error(ErrorKind::engine_not_found, "no such container: " + std::string(container));
    }
    return *held;
}

bool FakeEngine::is_mentioned(const std::string& volume) const {
    return std::any_of(containers_.begin(), containers_.end(), [&](const auto& container) {
        return std::any_of(container.second.mounts.begin(), container.second.mounts.end(),
                           [&](const VolumeMount& mount) { return mount.volume == volume; });
    });
}

Volume& FakeEngine::make_volume(const std::string& name, const Labels& labels) {
    if (const auto known = volumes_.find(name); known != volumes_.end()) {
        return known->second;
    }
    check_name(name);
    Volume volume;
    volume.name = name;
    volume.driver = "local";
    volume.mountpoint = root_ + "/volumes/" + name + "/_data";
    volume.created_at = fmt::format("2026-01-01T00:00:{:02}Z", counter_ % 60);
    volume.labels = labels;
    write_host_file(volume.mountpoint, fake_directory(0, 0));
    return volumes_.emplace(name, std::move(volume)).first->second;
}

void FakeEngine::erase_volume(const std::string& name) {
    fs::remove_all(root_ + "/volumes/" + name);
    volumes_.erase(name);
}

// What the engine does when it creates a container: an empty volume gets the content of the
// image's directory at the path, and its owner and mode.
void FakeEngine::copy_up(const FakeImage& image, const VolumeMount& mount) {
    FakeFiles files = image.files;
    complete(files);
    const std::string target = volumes_.at(mount.volume).mountpoint;
    if (!files.contains(mount.path) || !fs::is_empty(target)) {
        return;
    }
    for (const auto& [path, file] : files) {
        if (is_within(path, mount.path)) {
            write_host_file(target + path.substr(mount.path.size()), file);
        }
    }
}

std::string FakeEngine::create(std::string_view name, std::string_view body) {
    const json request = json::parse(body, nullptr, false);
    if (!request.is_object()) {
        throw Error(ErrorKind::engine_refused, "the body is not JSON");
    }
    const std::string reference = request.value("Image", "");
    const std::string image_id = find_image_id(reference);
    if (image_id.empty()) {
        throw Error(ErrorKind::engine_not_found, "no such image: " + reference);
    }
    const FakeImage& image = images_.at(image_id).image;
    FakeContainer container;
    container.id = fake_digest("container " + std::to_string(++counter_)).substr(7);
    container.name = name.empty() ? "unnamed_" + std::to_string(counter_) : std::string(name);
    check_name(container.name);
    if (const FakeContainer* other = look_up(container.name);
        other != nullptr && other->name == container.name) {
        throw Error(ErrorKind::engine_conflict, "the container name '" + container.name +
                                                    "' is in use by container " + other->id);
    }
    container.image = reference;
    container.image_id = image_id;
    container.created = 1'700'000'000 + counter_;
    container.body = body;
    container.user = request.value("User", image.user);
    const auto entrypoint = words_of(request, "Entrypoint");
    auto command = words_of(request, "Cmd");
    // An entrypoint of the container's own resets the image's command.
    if (command.empty() && entrypoint.empty()) {
        command = image.command;
    }
    container.arguments = entrypoint.empty() ? image.entrypoint : entrypoint;
    container.arguments.insert(container.arguments.end(), command.begin(), command.end());
    container.labels = image.labels;
    if (request.contains("Labels") && request["Labels"].is_object()) {
        for (const auto& [key, value] : request["Labels"].items()) {
            container.labels[key] = value.get<std::string>();
        }
    }
    container.mounts = mounts_of(request.value("HostConfig", json::object()));
    for (const std::string& path : image.volumes) {
        const bool mounted =
            std::any_of(container.mounts.begin(), container.mounts.end(),
                        [&](const VolumeMount& mount) { return mount.path == normalised(path); });
        if (!mounted) {
            const std::string volume = fake_digest(container.id + path).substr(7);
            container.anonymous_volumes.insert(volume);
            container.mounts.push_back({volume, normalised(path), true});
        }
    }
    for (const VolumeMount& mount : container.mounts) {
        make_volume(mount.volume, {});
        if (mount.copy_image_content) {
            copy_up(image, mount);
        }
    }
    return containers_.emplace(container.id, container).first->first;
}

std::string FakeEngine::create_container(const ContainerSpec& spec) {
    return perform("create_container", spec.name,
                   [&] { return create(spec.name, container_body(spec)); });
}

std::string FakeEngine::create_container_from(std::string_view name, std::string_view body) {
    return perform("create_container_from", name, [&] { return create(name, body); });
}

// The parts of the inspect answer that a container can be made again from.
std::string FakeEngine::document_of(const FakeContainer& container) const {
    json config = json::parse(container.body);
    const json host = config.value("HostConfig", json::object());
    config.erase("HostConfig");
    config.erase("NetworkingConfig");
    config["Image"] = container.image;
    config["User"] = container.user;
    config["Labels"] = container.labels;
    if (!config.contains("Env")) {
        config["Env"] = images_.contains(container.image_id)
                            ? images_.at(container.image_id).image.environment
                            : std::vector<std::string>();
    }
    json mounts = json::array();
    for (const VolumeMount& mount : container.mounts) {
        mounts.push_back({{"Type", "volume"},
                          {"Name", mount.volume},
                          {"Source", root_ + "/volumes/" + mount.volume + "/_data"},
                          {"Destination", mount.path},
                          {"Driver", "local"},
                          {"RW", true}});
    }
    return json{{"Id", container.id},
                {"Name", "/" + container.name},
                {"Image", container.image_id},
                {"RestartCount", container.restart_count},
                {"State",
                 {{"Status", container.state},
                  {"Running", is_active(container)},
                  {"Paused", container.state == "paused"},
                  {"ExitCode", container.exit_code},
                  {"StartedAt", container.started_at},
                  {"FinishedAt", container.finished_at}}},
                {"Config", config},
                {"HostConfig", host},
                {"Mounts", mounts},
                {"NetworkSettings", {{"Networks", json::object()}}}}
        .dump();
}

std::optional<Container> FakeEngine::find_container(std::string_view container) {
    return perform("find_container", container, [&]() -> std::optional<Container> {
        const FakeContainer* held = look_up(container);
        if (held == nullptr) {
            return std::nullopt;
        }
        Container found;
        found.id = held->id;
        found.name = held->name;
        found.image = held->image;
        found.image_id = held->image_id;
        found.state = held->state;
        found.exit_code = held->exit_code;
        found.restart_count = held->restart_count;
        found.health = held->health;
        found.started_at = held->started_at;
        found.user = held->user;
        found.labels = held->labels;
        found.mounts = listed_mounts(*held);
        found.document = document_of(*held);
        return found;
    });
}

std::vector<ContainerSummary> FakeEngine::list_containers(const ObjectFilter& filter) {
    return perform("list_containers", "", [&] {
        std::vector<ContainerSummary> listed;
        for (const auto& [id, held] : containers_) {
            const bool mounts_it =
                filter.volume.empty() ||
                std::any_of(held.mounts.begin(), held.mounts.end(), [&](const VolumeMount& mount) {
                    return mount.volume == filter.volume;
                });
            if (!mounts_it || (filter.running && !is_active(held)) ||
                (!filter.name.empty() && held.name != filter.name) ||
                !has_labels(held.labels, filter.labels)) {
                continue;
            }
            ContainerSummary summary;
            summary.id = id;
            summary.name = held.name;
            summary.image = find_image_id(held.image) == held.image_id ? held.image : held.image_id;
            summary.image_id = held.image_id;
            summary.state = held.state;
            summary.status = status_of(held);
            summary.labels = held.labels;
            summary.mounts = listed_mounts(held);
            summary.created = held.created;
            listed.push_back(std::move(summary));
        }
        // As the engine: the newest first.
        std::sort(listed.begin(), listed.end(),
                  [](const auto& a, const auto& b) { return a.created > b.created; });
        return listed;
    });
}

void FakeEngine::start_container(std::string_view container) {
    perform("start_container", container, [&] {
        FakeContainer& held = get(container);
        if (held.state == "running") {
            return;
        }
        if (held.state == "paused") {
            throw Error(ErrorKind::engine_conflict, "cannot start a paused container");
        }
        const FakeProgram program = programs_ ? programs_(held) : FakeProgram();
        held.started_at = fmt::format("2026-01-01T00:01:00.{:09}Z", ++counter_);
        held.out += program.out;
        held.err += program.err;
        held.exit_code = program.keeps_running ? 0 : program.exit_code;
        held.state = program.keeps_running ? "running" : "exited";
    });
}

void FakeEngine::set_restart_policy(std::string_view container, std::string_view policy,
                                    unsigned retries) {
    perform("set_restart_policy", container, [&] {
        FakeContainer& held = get(container);
        json body = json::parse(held.body);
        body["HostConfig"]["RestartPolicy"] = {{"Name", policy}, {"MaximumRetryCount", retries}};
        held.body = body.dump();
    });
}

void FakeEngine::stop_container(std::string_view container, std::chrono::seconds) {
    perform("stop_container", container, [&] {
        FakeContainer& held = get(container);
        if (is_active(held)) {
            constexpr int ended_by_kill = 137;
            held.state = "exited";
            held.exit_code = ended_by_kill;
        }
    });
}

void FakeEngine::pause_container(std::string_view container) {
    perform("pause_container", container, [&] {
        FakeContainer& held = get(container);
        if (held.state != "running") {
            throw Error(ErrorKind::engine_conflict,
                        "container '" + held.name + "' is " + held.state);
        }
        held.state = "paused";
    });
}

void FakeEngine::unpause_container(std::string_view container) {
    perform("unpause_container", container, [&] {
        FakeContainer& held = get(container);
        if (held.state != "paused") {
            throw Error(ErrorKind::engine_refused, "container '" + held.name + "' is not paused");
        }
        held.state = "running";
    });
}

int FakeEngine::wait_container(std::string_view container, std::chrono::seconds) {
    return perform("wait_container", container, [&] {
        const FakeContainer& held = get(container);
        // Nothing in a fake ends by itself.
        if (is_active(held)) {
            throw Error(ErrorKind::timed_out, "container '" + held.name + "' did not end");
        }
        return held.exit_code;
    });
}

void FakeEngine::erase_container(const std::string& id) {
    const FakeContainer held = containers_.at(id);
    containers_.erase(id);
    for (const std::string& volume : held.anonymous_volumes) {
        if (!is_mentioned(volume)) {
            erase_volume(volume);
        }
    }
}

bool FakeEngine::remove_container(std::string_view container) {
    return perform("remove_container", container, [&] {
        const FakeContainer* held = look_up(container);
        if (held == nullptr) {
            return false;
        }
        erase_container(std::string(held->id));
        return true;
    });
}

void FakeEngine::read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                           const ByteSink& err) {
    perform("read_logs", container, [&] {
        const FakeContainer& held = get(container);
        send(out, last_part(held.out, last_lines));
        send(err, last_part(held.err, last_lines));
    });
}

void FakeEngine::follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                             const ByteSink& err) {
    read_logs(container, last_lines, out, err);
}

int FakeEngine::exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
                     const ByteSink& err) {
    return perform("exec", container, [&] {
        FakeContainer asked = get(container);
        if (!is_active(asked)) {
            throw Error(ErrorKind::engine_conflict, "the container is not running");
        }
        asked.arguments = request.command;
        const FakeProgram program = programs_ ? programs_(asked) : FakeProgram();
        send(out, program.out);
        send(err, program.err);
        return program.exit_code;
    });
}

void FakeEngine::follow_events(std::int64_t since, std::chrono::seconds,
                               const std::function<void(const ContainerEvent&)>& sink) {
    perform("follow_events", "", [&] {
        for (const ContainerEvent& event : events) {
            if (event.time >= since) {
                sink(event);
            }
        }
    });
}

FakeFiles FakeEngine::files_of(const FakeContainer& container) const {
    FakeFiles files = container.layer;
    if (const auto image = images_.find(container.image_id); image != images_.end()) {
        FakeFiles below = image->second.image.files;
        files.merge(below);
    }
    for (const VolumeMount& mount : container.mounts) {
        std::erase_if(files, [&](const auto& file) { return is_within(file.first, mount.path); });
        const std::string source = volumes_.at(mount.volume).mountpoint;
        files[mount.path] = read_host_file(source);
        for (const auto& entry : fs::recursive_directory_iterator(source)) {
            const std::string path = entry.path().string();
            files[mount.path + path.substr(source.size())] = read_host_file(path);
        }
    }
    complete(files);
    return files;
}

// The real path of what stands on a volume, empty for everything else.
std::string FakeEngine::host_path(const FakeContainer& container, const std::string& path) const {
    const VolumeMount* best = nullptr;
    for (const VolumeMount& mount : container.mounts) {
        if (is_within(path, mount.path) &&
            (best == nullptr || mount.path.size() > best->path.size())) {
            best = &mount;
        }
    }
    return best == nullptr ? ""
                           : volumes_.at(best->volume).mountpoint + path.substr(best->path.size());
}

void FakeEngine::read_archive(std::string_view container, std::string_view path,
                              const ByteSink& tar) {
    perform("read_archive", std::string(container) + ":" + std::string(path), [&] {
        const FakeFiles files = files_of(get(container));
        const std::string wanted = normalised(path);
        if (!files.contains(wanted)) {
            throw Error(ErrorKind::engine_not_found, "could not find the file " + wanted +
                                                         " in container " + std::string(container));
        }
        // As the engine names them: below the last part of the path.
        const std::string root =
            path.ends_with("/.") || wanted == "/" ? "." : wanted.substr(wanted.rfind('/') + 1);
        FakeFiles members;
        for (const auto& [name, file] : files) {
            if (is_within(name, wanted)) {
                const std::string below = name.substr(wanted == "/" ? 0 : wanted.size());
                members[root + (wanted == "/" && below == "/" ? "" : below)] = file;
            }
        }
        send(tar, packed(members));
    });
}

void FakeEngine::save_image(std::string_view id, const ByteSink& tar) {
    perform("save_image", id, [&] {
        const auto image = images_.find(find_image_id(id));
        if (image == images_.end()) {
            throw Error(ErrorKind::engine_not_found, "no such image: " + std::string(id));
        }
        saved_[image->first] = image->second.image;
        FakeFiles members;
        members["manifest.json"] = {"[{\"RepoTags\":null,\"Config\":\"" + image->first + "\"}]"};
        send(tar, packed(members));
    });
}

std::string FakeEngine::import_image(const ByteSource& tar, std::string_view repository,
                                     std::string_view tag) {
    return perform("import_image", repository, [&] {
        FakeImage image;
        std::vector<std::byte> buffer(4096);
        for (std::size_t got = tar(buffer); got > 0; got = tar(buffer)) {
            image.files["/imported"].content += as_text(Bytes(buffer).first(got));
        }
        return add_image(std::string(repository) + ":" + std::string(tag), image);
    });
}

void FakeEngine::load_image(const ByteSource& tar, Progress&) {
    perform("load_image", "", [&] {
        std::string bytes;
        std::vector<std::byte> buffer(4096);
        for (std::size_t got = tar(buffer); got > 0; got = tar(buffer)) {
            bytes += as_text(Bytes(buffer).first(got));
        }
        bool known = false;
        for (const auto& [id, image] : saved_) {
            if (bytes.find(id) != std::string::npos) {
                images_[id].image = image;
                known = true;
            }
        }
        if (!known) {
            throw Error(ErrorKind::engine_refused, "invalid tar header");
        }
    });
}

void FakeEngine::write_archive(std::string_view container, std::string_view path,
                               const ByteSource& tar) {
    perform("write_archive", std::string(container) + ":" + std::string(path), [&] {
        FakeContainer& held = get(container);
        const std::string target = normalised(path);
        const FakeFiles files = files_of(held);
        const auto directory = files.find(target);
        if (directory == files.end()) {
            throw Error(ErrorKind::engine_not_found, "could not find the file " + target);
        }
        if (directory->second.type != FakeFile::Type::directory) {
            throw Error(ErrorKind::engine_refused, "extraction point is not a directory");
        }
        std::string bytes;
        std::vector<std::byte> buffer(65536);
        while (const std::size_t count = tar(buffer)) {
            bytes += as_text(Bytes(buffer).first(count));
        }
        for (const auto& [name, file] : members_of(bytes)) {
            const std::string full = normalised(target + "/" + name);
            // The engine does not touch the directory that it unpacks in.
            if (full == target) {
                continue;
            }
            if (const std::string host = host_path(held, full); !host.empty()) {
                write_host_file(host, file);
            } else {
                held.layer[full] = file;
            }
        }
    });
}

Volume FakeEngine::create_volume(std::string_view name, const Labels& labels) {
    return perform("create_volume", name,
                   [&]() -> Volume { return make_volume(std::string(name), labels); });
}

std::optional<Volume> FakeEngine::find_volume(std::string_view name) {
    return perform("find_volume", name, [&]() -> std::optional<Volume> {
        const auto found = volumes_.find(std::string(name));
        return found == volumes_.end() ? std::nullopt : std::optional(found->second);
    });
}

std::vector<Volume> FakeEngine::list_volumes(const ObjectFilter& filter) {
    return perform("list_volumes", "", [&] {
        std::vector<Volume> listed;
        for (const auto& [name, volume] : volumes_) {
            if ((filter.name.empty() || name == filter.name) &&
                has_labels(volume.labels, filter.labels)) {
                listed.push_back(volume);
            }
        }
        return listed;
    });
}

bool FakeEngine::remove_volume(std::string_view name) {
    return perform("remove_volume", name, [&] {
        const std::string key(name);
        if (!volumes_.contains(key)) {
            return false;
        }
        if (is_mentioned(key)) {
            throw Error(ErrorKind::engine_conflict, "volume '" + key + "' is in use");
        }
        erase_volume(key);
        return true;
    });
}

std::string FakeEngine::create_network(std::string_view name, const Labels& labels) {
    return perform("create_network", name, [&] {
        for (const Network& network : networks_) {
            if (network.name == name) {
                throw Error(ErrorKind::engine_conflict,
                            "network '" + std::string(name) + "' already exists");
            }
        }
        add_network(std::string(name), labels);
        return networks_.back().id;
    });
}

std::vector<Network> FakeEngine::list_networks(const ObjectFilter& filter) {
    return perform("list_networks", "", [&] {
        std::vector<Network> listed;
        for (const Network& network : networks_) {
            if ((filter.name.empty() || network.name == filter.name) &&
                has_labels(network.labels, filter.labels)) {
                listed.push_back(network);
            }
        }
        return listed;
    });
}

bool FakeEngine::remove_network(std::string_view network) {
    return perform("remove_network", network, [&] {
        return std::erase_if(networks_, [&](const Network& held) {
                   return held.name == network || held.id == network;
               }) > 0;
    });
}

}  // namespace drunner::test
