#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.hpp"
#include "core/image_reference.hpp"
#include "core/progress.hpp"

namespace drunner {

using Labels = std::map<std::string, std::string>;

// What GET /info says.
struct EngineInfo {
    bool user_namespaces = false;
    std::vector<std::string> insecure_registries;  // host[:port] and CIDR, as the engine lists them
    unsigned processors = 0;
    std::string root_directory;  // where the engine keeps its own files
    std::string architecture;    // of its machine, as uname says it: "x86_64"
};

struct Image {
    std::string id;                    // "sha256:..."
    std::vector<std::string> tags;     // "repo:tag"
    std::vector<std::string> digests;  // "repo@sha256:..."
    std::string user;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> environment;
    std::vector<std::string> volumes;
    std::vector<std::string> exposed_ports;
    Labels labels;
    std::string os;
    std::string architecture;
    bool has_healthcheck = false;
    std::uint64_t size = 0;  // bytes
    // Where the engine's overlay driver keeps the image, on the engine's machine, the uppermost
    // first; empty for other drivers.
    std::vector<std::string> layers;
};

// One tag of an image.
struct ImageTag {
    std::string image_id;
    std::string reference;  // "REPOSITORY:TAG", as the engine spells it
};

struct Mount {
    std::string volume;  // the volume's name; empty for other kinds of mount
    std::string source;  // host path of a bind mount
    std::string path;    // in the container
    bool read_only = false;
};

struct ContainerSummary {
    std::string id;
    std::string name;  // without the leading slash
    std::string image;
    std::string image_id;
    std::string state;   // created running paused restarting removing exited dead
    std::string status;  // "Up 3 minutes"
    Labels labels;
    std::vector<Mount> mounts;
    std::int64_t created = 0;  // seconds since the epoch
};

struct Container {
    std::string id;
    std::string name;
    std::string image;  // as given at create
    std::string image_id;
    std::string state;
    int exit_code = 0;
    int restart_count = 0;
    std::string health;  // starting healthy unhealthy, empty where there is no HEALTHCHECK
    std::string started_at;
    std::string user;
    Labels labels;
    std::vector<Mount> mounts;
    std::string document;  // the whole inspect answer, JSON
};

struct Volume {
    std::string name;
    std::string driver;
    std::string mountpoint;
    std::string created_at;
    Labels labels;
    std::map<std::string, std::string> options;
};

struct VolumeMount {
    std::string volume;
    std::string path;
    bool copy_image_content = false;  // false is Docker's "nocopy"
};

// A container to create. Empty entrypoint and command mean the image's own.
struct ContainerSpec {
    std::string name;  // empty: the engine chooses
    std::string image;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::string user;
    Labels labels;
    std::vector<VolumeMount> mounts;
    // No network, read-only root, no capabilities, no new privileges, bounded memory and
    // processes: for running a stranger's text.
    bool confined = false;
};

struct Network {
    std::string id;
    std::string name;
    Labels labels;
};

// What happened to a container.
struct ContainerEvent {
    std::string action;  // start, die, ...
    std::string container;
    Labels labels;
    std::int64_t time = 0;  // nanoseconds since the epoch
};

// A program to run in a running container.
struct ExecRequest {
    std::vector<std::string> command;
    bool terminal = false;
    // Read while the program runs and handed to it; -1: it has no stdin.
    int input = -1;
    // Asked again and again where there is a terminal: its columns and rows.
    std::function<std::pair<unsigned, unsigned>()> size = {};
};

// Which objects a list names: those that carry all these labels ("key" or "key=value"), have that
// exact name where it is set, mount that volume where it is set (containers only), and, where
// `running` says so, run (containers only). One that is paused runs, and one that Docker is about
// to start again; an engine names those in a fraction of the time that all take.
struct ObjectFilter {
    std::vector<std::string> labels = {};
    std::string name = {};
    std::string volume = {};
    bool running = false;
};

// Credentials for one registry, as the X-Registry-Auth header wants them: base64url of JSON, made
// by engine/credentials. Empty: anonymous.
struct RegistryAuth {
    std::string header;
};

// A container engine. Implementations: RestEngine (the real one), FakeEngine (tests).
//
// find_* answer an empty optional where the object is absent; everything else throws
// Error(engine_not_found). Every call throws Error(engine_unreachable) where nothing answers,
// Error(engine_denied) without permission on the socket, Error(engine_conflict) for 409,
// Error(engine_refused) for any other refusal (the message names the engine's own words),
// Error(timed_out) and Error(interrupted). Names and ids are both accepted where one is taken.
// Implementations may be called from several threads at once.
class Engine {
  public:
    virtual ~Engine() = default;

    virtual EngineInfo info() = 0;

    virtual std::optional<Image> find_image(std::string_view reference) = 0;
    // Every tag of the repository ("localhost/drunner"), in no order.
    virtual std::vector<ImageTag> list_tags(std::string_view repository) = 0;
    // Pulls and follows the stream to its end; an error inside it is thrown (image_not_found,
    // registry_denied, registry_unreachable or engine_refused).
    virtual void pull_image(const ImageReference& reference, const RegistryAuth& auth,
                            Progress& progress) = 0;
    // The digest that the reference's registry has for it, asked through the engine. Empty where
    // the engine cannot ask (Podman's API lacks it); errors are those of pull_image.
    virtual std::optional<std::string> distribution_digest(const ImageReference& reference,
                                                           const RegistryAuth& auth) = 0;
    // Moves REPOSITORY:TAG to the image.
    virtual void tag_image(std::string_view image, std::string_view repository,
                           std::string_view tag) = 0;
    // Removes the tag (or the image where an id is given); false where it was absent.
    // Never forces: an image in use is Error(engine_conflict).
    virtual bool remove_image(std::string_view reference) = 0;

    // Streams the image as a tar that load_image takes; by id, so that no tag is in it.
    virtual void save_image(std::string_view id, const ByteSink& tar) = 0;
    // Takes in what save_image gave, here or elsewhere, with the tags that are in it.
    virtual void load_image(const ByteSource& tar, Progress& progress) = 0;

    // Makes an image, without a configuration, of the tar of a root directory; answers its id.
    virtual std::string import_image(const ByteSource& tar, std::string_view repository,
                                     std::string_view tag) = 0;

    // Answers the new container's id. A taken name is Error(engine_conflict), an unknown image
    // Error(engine_not_found).
    virtual std::string create_container(const ContainerSpec& spec) = 0;
    // The same from a raw body of POST /containers/create (JSON): for containers made again from
    // their recorded inspect answer, and for the typed container layer.
    virtual std::string create_container_from(std::string_view name, std::string_view body) = 0;
    virtual std::optional<Container> find_container(std::string_view container) = 0;
    virtual std::vector<ContainerSummary> list_containers(const ObjectFilter& filter) = 0;
    // Starting a running and stopping a stopped container succeed.
    virtual void start_container(std::string_view container) = 0;
    virtual void stop_container(std::string_view container, std::chrono::seconds grace) = 0;
    virtual void pause_container(std::string_view container) = 0;
    virtual void unpause_container(std::string_view container) = 0;
    // What the engine does when the container ends by itself: "no", "on-failure" with that many
    // further runs, "always", "unless-stopped".
    virtual void set_restart_policy(std::string_view container, std::string_view policy,
                                    unsigned retries) = 0;
    // Waits for the end; answers the exit code. Throws Error(timed_out) at the limit.
    virtual int wait_container(std::string_view container, std::chrono::seconds limit) = 0;
    // Removes it with its anonymous volumes, killing it where it runs; false where it was absent.
    virtual bool remove_container(std::string_view container) = 0;
    // What it wrote so far, stdout and stderr kept apart; `last_lines` 0 means everything.
    virtual void read_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                           const ByteSink& err) = 0;

    // The same, and goes on until the container ends or cancellation is pending.
    virtual void follow_logs(std::string_view container, unsigned last_lines, const ByteSink& out,
                             const ByteSink& err) = 0;
    // Runs a program in the running container until it ends; answers its exit code. With a
    // terminal everything that it writes goes to `out`.
    virtual int exec(std::string_view container, const ExecRequest& request, const ByteSink& out,
                     const ByteSink& err) = 0;
    // Hands out the starts and ends of containers from `since` (nanoseconds since the epoch; the
    // engine remembers the last few hundred) on, and returns when `limit` is over.
    virtual void follow_events(std::int64_t since, std::chrono::seconds limit,
                               const std::function<void(const ContainerEvent&)>& sink) = 0;

    // Streams PATH of the container as a tar. A path that does not exist is
    // Error(engine_not_found).
    virtual void read_archive(std::string_view container, std::string_view path,
                              const ByteSink& tar) = 0;
    // Unpacks a tar in the container's existing directory PATH; merges.
    virtual void write_archive(std::string_view container, std::string_view path,
                               const ByteSource& tar) = 0;

    // Creating an existing volume succeeds in the engine: look with find_volume before, and read
    // the labels back after.
    virtual Volume create_volume(std::string_view name, const Labels& labels) = 0;
    virtual std::optional<Volume> find_volume(std::string_view name) = 0;
    virtual std::vector<Volume> list_volumes(const ObjectFilter& filter) = 0;
    // False where it was absent; Error(engine_conflict) while a container mentions it.
    virtual bool remove_volume(std::string_view name) = 0;

    // Creates a bridge network; a taken name is Error(engine_conflict).
    virtual std::string create_network(std::string_view name, const Labels& labels) = 0;
    virtual std::vector<Network> list_networks(const ObjectFilter& filter) = 0;
    virtual bool remove_network(std::string_view network) = 0;
};

}  // namespace drunner
