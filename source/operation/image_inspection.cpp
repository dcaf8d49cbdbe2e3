#include "operation/image_inspection.hpp"

#include <future>
#include <optional>
#include <utility>

#include "archive/image_layers.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"
#include "operation/changes.hpp"
#include "operation/image_choice.hpp"
#include "operation/review.hpp"
#include "service/image_cache.hpp"
#include "service/manifest.hpp"

namespace drunner {
namespace {

constexpr std::string_view drunner_directory = "/drunner";
constexpr std::uint64_t account_file_limit = 4U << 20U;
constexpr std::chrono::seconds evaluation_limit{20};
constexpr std::uint64_t evaluation_output_limit = 1U << 20U;

// A container that is never started, or a confined one; removed however its use ends. Its name is
// known before it is made, so that it can be removed also where the engine's answer was lost.
class ScratchContainer {
  public:
    ScratchContainer(Engine& engine, ContainerSpec spec)
        : engine_(engine), name_("drunner-scratch-" + random_id()) {
        spec.name = name_;
        spec.labels[label::scratch] = "inspection";
        try {
            engine.create_container(spec);
        } catch (...) {
            remove();
            throw;
        }
    }
    ~ScratchContainer() { remove(); }
    ScratchContainer(const ScratchContainer&) = delete;
    ScratchContainer& operator=(const ScratchContainer&) = delete;

    const std::string& id() const { return name_; }

  private:
    // Labelled as scratch: `drunner clean` removes what an engine that is away keeps.
    void remove() {
        const CancellationShield shield;
        for (int attempt = 0; attempt < 2; ++attempt) {
            try {
                engine_.remove_container(name_);
                return;
            } catch (const Error&) {
                continue;
            }
        }
    }

    Engine& engine_;
    std::string name_;
};

ContainerSpec never_started(const Image& image) {
    ContainerSpec spec;
    spec.image = image.id;
    // An image without a command needs one to be created; this one never runs.
    spec.command = {"true"};
    return spec;
}

std::optional<std::string> account_file(Engine& engine, const std::string& container,
                                        std::string_view path) {
    std::string tar;
    try {
        engine.read_archive(container, path, [&](Bytes bytes) {
            tar += as_text(bytes);
            if (tar.size() > account_file_limit) {
                throw Error(ErrorKind::image_refused,
                            std::string(path) + " of the image is too large");
            }
        });
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::engine_not_found) {
            return std::nullopt;
        }
        throw;
    }
    return single_file(as_bytes(tar), account_file_limit);
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// True where USER can be resolved without a look into the image.
bool needs_no_lookup(std::string_view user) {
    const std::size_t colon = user.find(':');
    return colon != std::string_view::npos && is_number(user.substr(0, colon)) &&
           is_number(user.substr(colon + 1));
}

// Makes a scratch container for those who read from it, where one does.
class LazyContainer {
  public:
    LazyContainer(Engine& engine, const Image& image) : engine_(engine), image_(image) {}

    const std::string& id() {
        if (!container_) {
            container_.emplace(engine_, never_started(image_));
        }
        return container_->id();
    }

  private:
    Engine& engine_;
    const Image& image_;
    std::optional<ScratchContainer> container_;
};

void read_user(Engine& engine, LazyContainer& container, const ImageLayers& layers,
               ImageFacts& facts) {
    const auto file = [&](const std::string& path) {
        auto here = layers.file(path.substr(1), account_file_limit);
        return here ? here : account_file(engine, container.id(), path);
    };
    try {
        facts.resolved_user = resolve_image_user(
            facts.user, [&] { return file("/etc/passwd"); }, [&] { return file("/etc/group"); });
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::image_refused) {
            throw;
        }
        facts.user_problem = error.what();
    }
}

void read_files(Engine& engine, LazyContainer& container, ImageFacts& facts) {
    try {
        ImageFilesReader reader("drunner");
        engine.read_archive(container.id(), drunner_directory,
                            [&](Bytes bytes) { reader.write(bytes); });
        facts.files = reader.finish();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::engine_not_found) {
            facts.files_problem = "the image has no directory /drunner";
        } else if (error.kind() == ErrorKind::image_refused) {
            facts.files_problem = error.what();
        } else {
            throw;
        }
    }
}

// Runs the image's own bash over its servicecfg.sh in a container that can do nothing else.
ServiceConfig evaluate_config(Engine& engine, const Image& image, const ParsedConfig& parsed) {
    const std::string needs = "/drunner/servicecfg.sh needs bash at line " +
                              std::to_string(parsed.bash_line) + " ('" +
                              printable(parsed.bash_text.substr(0, 120)) + "')";
    ContainerSpec spec;
    spec.image = image.id;
    spec.entrypoint = {"bash"};
    spec.command = {"-c", evaluation_script("/drunner/servicecfg.sh")};
    spec.user = image.user;
    spec.confined = true;
    std::string output;
    std::string complaints;
    try {
        const ScratchContainer container(engine, std::move(spec));
        engine.start_container(container.id());
        const int status = engine.wait_container(container.id(), evaluation_limit);
        const auto bounded = [](std::string& text) {
            return [&text](Bytes bytes) {
                text += as_text(bytes);
                if (text.size() > evaluation_output_limit) {
                    throw Error(ErrorKind::image_refused,
                                "/drunner/servicecfg.sh prints without end");
                }
            };
        };
        engine.read_logs(container.id(), 0, bounded(output), bounded(complaints));
        if (status != 0) {
            throw Error(
                ErrorKind::image_refused,
                needs + ", where it fails with status " + std::to_string(status) +
                    (complaints.empty() ? std::string()
                                        : ": " + printable(trim(complaints.substr(0, 300)))));
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::timed_out) {
            throw Error(ErrorKind::image_refused, needs + ", where it does not end within " +
                                                      std::to_string(evaluation_limit.count()) +
                                                      " seconds");
        }
        if (error.kind() == ErrorKind::engine_refused ||
            error.kind() == ErrorKind::engine_not_found) {
            throw Error(ErrorKind::image_refused,
                        needs + ", which the image does not have or cannot run");
        }
        throw;
    }
    return parse_evaluated_config(output);
}

// With --check a file that needs bash leaves no config and no problem.
void read_config(Machine& machine, const Image& image, ImageFacts& facts) {
    if (!facts.files || !facts.files->contains("servicecfg.sh")) {
        return;
    }
    const auto file = facts.files->find("servicecfg.sh");
    try {
        ParsedConfig parsed = parse_service_config(file->second.content);
        if (!parsed.config && machine.check) {
            return;
        }
        facts.config = parsed.config ? std::move(parsed.config)
                                     : evaluate_config(machine.engine, image, parsed);
        check_service_config(*facts.config);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::image_refused) {
            throw;
        }
        facts.config.reset();
        facts.config_problem = error.what();
    }
}

// Thrown by a sink that has seen enough of a stream.
struct SeenEnough {};

// The first members at a path of the container: itself, and the first thing in a directory. Empty
// where nothing is there.
std::vector<MemberHead> members_at(Engine& engine, const std::string& container,
                                   std::string_view path) {
    constexpr std::size_t enough = 64U << 10U;
    std::string tar;
    try {
        engine.read_archive(container, path, [&](Bytes bytes) {
            tar += as_text(bytes);
            if (tar.size() >= enough) {
                throw SeenEnough{};
            }
        });
    } catch (const SeenEnough&) {
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::engine_not_found) {
            return {};
        }
        throw;
    }
    return leading_members(as_bytes(tar), 2);
}

ImageFacts configuration_of(const Image& image, std::string_view reference) {
    ImageFacts facts;
    facts.reference = reference;
    facts.os = image.os;
    facts.architecture = image.architecture;
    facts.user = image.user;
    return facts;
}

}  // namespace

ImageFacts read_image_files(Machine& machine, const Image& image, std::string_view reference) {
    ImageFacts facts = configuration_of(image, reference);
    const ImageCache cache(machine.paths);
    if (const std::optional<CachedImage> cached = cache.find(image.id)) {
        facts.files = cached->files;
        facts.resolved_user = cached->user;
    } else {
        const ImageLayers layers(image.layers);
        facts.files = layers.files("drunner");
        // Each archive costs the engine tens of milliseconds whatever its size, and those of one
        // container wait for each other: two containers, side by side. --check promises one.
        const bool beside = !facts.files && !machine.check && !needs_no_lookup(image.user);
        LazyContainer for_files(machine.engine, image);
        LazyContainer for_user(machine.engine, image);
        auto user = std::async(beside ? std::launch::async : std::launch::deferred, [&] {
            read_user(machine.engine, machine.check ? for_files : for_user, layers, facts);
        });
        if (!facts.files) {
            read_files(machine.engine, for_files, facts);
        }
        user.get();
        if (facts.files && facts.resolved_user && !machine.check) {
            cache.keep(image.id, {*facts.files, *facts.resolved_user});
        }
    }
    return facts;
}

ImageFacts read_image(Machine& machine, const Image& image, std::string_view reference) {
    ImageFacts facts = read_image_files(machine, image, reference);
    read_config(machine, image, facts);
    return facts;
}

void read_image_details(Machine& machine, const Image& image, ImageFacts& facts) {
    facts.entrypoint = image.entrypoint;
    facts.command = image.command;
    facts.environment = image.environment;
    facts.volumes = image.volumes;
    facts.labels = image.labels;
    facts.has_healthcheck = image.has_healthcheck;
    const ScratchContainer container(machine.engine, never_started(image));
    for (const char* shell : {"/bin/sh", "/bin/bash"}) {
        if (!members_at(machine.engine, container.id(), shell).empty()) {
            facts.shells.insert(shell);
        }
    }
    if (!facts.config) {
        return;
    }
    for (const std::string& path : facts.config->volumes) {
        const std::vector<MemberHead> members = members_at(machine.engine, container.id(), path);
        // Where a link leads is known to the engine only when it mounts.
        if (!members.empty() && members[0].type != MemberHead::Type::symlink) {
            facts.directories[path] = {members[0].uid, members[0].gid, members[0].mode,
                                       members[0].type == MemberHead::Type::directory,
                                       members.size() == 1};
        }
    }
    for (const std::string& reference : facts.config->extra_containers) {
        if (const auto extra = machine.engine.find_image(reference)) {
            facts.extra_images[reference] = {extra->user};
        }
    }
}

namespace {

// What was chosen with --check may be known from its registry only.
bool is_here_for_check(Machine& machine, const Image& image) {
    return is_described(image) && machine.engine.find_image(image.id).has_value();
}

// Throws where an error is among the findings on the image; warns of the others.
void require_contract(Machine& machine, const ImageFacts& facts) {
    for (const Finding& finding : check_contract(facts)) {
        if (finding.severity == Severity::error) {
            throw Error(ErrorKind::image_refused,
                        "image '" + facts.reference + "' cannot be a service: " + finding.message,
                        "drunner checkimage " + facts.reference);
        }
        machine.progress.warning(finding.message);
    }
}

}  // namespace

InspectedImage inspect_image(Machine& machine, const ServiceName& service, const Image& image,
                             std::string_view reference) {
    const bool is_here = !machine.check || is_here_for_check(machine, image);
    ImageFacts facts = configuration_of(image, reference);
    if (is_described(image)) {
        // Before its scripts are looked at: with --check it may be all that is known of it.
        require_contract(machine, facts);
    }
    if (!is_here) {
        tell_change(machine, "the scripts and volumes of '" + std::string(reference) + "' are " +
                                 unknown_until_pulled);
        return {image, {}, {}, {}, false, false};
    }
    facts = read_image_files(machine, image, reference);
    if (facts.files) {
        // Before servicecfg.sh, which may have to be evaluated.
        review_scripts(machine, service, *facts.files, reference);
    }
    read_config(machine, image, facts);
    require_contract(machine, facts);
    if (!facts.config) {
        tell_change(machine, "what servicecfg.sh of '" + std::string(reference) +
                                 "' declares is unknown: --check runs no bash");
        return {image, std::move(*facts.files), {}, *facts.resolved_user, true, false};
    }
    return {image, std::move(*facts.files), std::move(*facts.config), *facts.resolved_user};
}

}  // namespace drunner
