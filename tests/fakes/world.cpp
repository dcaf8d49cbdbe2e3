#include "fakes/world.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "archive/digest.hpp"
#include "backup/backup_file.hpp"
#include "core/error.hpp"
#include "host/file.hpp"
#include "host/process.hpp"
#include "service/manifest.hpp"

namespace drunner::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* installation = "0123456789abcdef0123456789abcdef";
constexpr int most_releases = 9;

std::string service_of(const std::string& script) {
    return base_name(parent_of(parent_of(script)));
}

// What bash would read from imagename.sh beside the service's directory.
std::string image_name(const std::string& script) {
    std::istringstream lines(read_file(parent_of(parent_of(script)) + "/imagename.sh"));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("IMAGENAME=")) {
            std::string value = line.substr(line.find('=') + 1);
            std::erase_if(value, [](char c) { return c == '\'' || c == '"'; });
            return value;
        }
    }
    throw std::runtime_error("imagename.sh names no image");
}

std::string without(std::string text, const std::string& word) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word)) {
        text.erase(at, word.size());
    }
    return text;
}

// `own` is the path of this world, which no other one shares.
std::string file_line(const fs::path& path, const std::string& shown, const std::string& own) {
    struct stat status {};
    lstat(path.c_str(), &status);
    std::ostringstream line;
    line << shown << ' ' << std::oct << status.st_mode << std::dec << ' ' << status.st_uid << ':'
         << status.st_gid << ' ';
    if (S_ISLNK(status.st_mode)) {
        line << "-> " << read_symlink(path.string());
    } else if (S_ISREG(status.st_mode)) {
        std::string content = read_file(path.string());
        if (path.filename() == "service.json") {
            nlohmann::json manifest = nlohmann::json::parse(content);
            manifest.erase("failed_digests");
            manifest.erase("pulled");
            manifest.erase("last_drill");
            if (manifest.contains("last_backup")) {
                manifest["last_backup"].erase("written_bytes");  // depends on the time of day
            }
            content = manifest.dump();
        }
        // Times and inodes differ from one archive to the next.
        line << (path.extension() == ".zst" ? "an archive"
                                            : sha256_hex(as_bytes(without(content, own))));
    }
    return line.str();
}

// What the backup holds; it is read to its last byte.
std::string backup_line(const fs::path& path) {
    const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string line = " backup";
    SilentProgress progress;
    open_backup(file.get(), {})
        ->verify(
            [&](const BackupReader::Member& member) {
                line += " " + member.volume + ":" + member.name;
            },
            progress);
    return line;
}

void add_tree(const fs::path& root, const std::string& shown, const std::string& own,
              std::vector<std::string>& lines) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        // The directory of the final backups is no state of a service.
        if (entry.path().filename() == "undelete") {
            continue;
        }
        // Two runs' backups differ in the times of their files.
        if (entry.path().parent_path().filename() == "undelete" && entry.is_regular_file()) {
            lines.push_back(shown + entry.path().lexically_relative(root).string() +
                            backup_line(entry.path()));
            continue;
        }
        lines.push_back(
            file_line(entry.path(), shown + entry.path().lexically_relative(root).string(), own));
    }
}

std::string labels_line(Labels labels) {
    labels.erase(label::operation);
    std::string line;
    for (const auto& [key, value] : labels) {
        line += " " + key + "=" + value;
    }
    return line;
}

}  // namespace

HookResult ServiceScripts::run_hook(const HookCall& call) {
    try {
        act(call);
    } catch (const Error& error) {
        return {HookResult::Verdict::failed, 1, false, std::string(error.what()) + "\n"};
    }
    if (failing == hook_name(call.hook, call.version)) {
        return {HookResult::Verdict::failed, 1, false, "it fails\n"};
    }
    return {};
}

void ServiceScripts::act(const HookCall& call) {
    const std::string service = service_of(call.script);
    const std::string hook = hook_name(call.hook, call.version);
    {
        const std::lock_guard lock(mutex_);
        called.push_back(hook);
    }
    const std::string volume = "drunner-" + service + "-data";
    if (corrupting == hook) {
        std::ofstream(engine_.find_volume(volume)->mountpoint + "/mine") << "spoilt\n";
    }
    if (call.hook == Hook::install || call.hook == Hook::update_end) {
        ContainerSpec spec;
        spec.name = service;
        spec.image = image_name(call.script);
        spec.labels = {{label::service, service}};
        spec.mounts = {{volume, "/data", false}};
        engine_.start_container(engine_.create_container(spec));
        std::ofstream(engine_.find_volume(volume)->mountpoint + "/log", std::ios::app)
            << hook << '\n';
    } else if (call.hook == Hook::update_start || call.hook == Hook::uninstall ||
               call.hook == Hook::obliterate) {
        engine_.remove_container(service);
    } else if (call.hook == Hook::backup_start && engine_.find_container(service) &&
               engine_.find_container(service)->state == "running") {
        engine_.pause_container(service);
    } else if (call.hook == Hook::backup_end && engine_.find_container(service) &&
               engine_.find_container(service)->state == "paused") {
        engine_.unpause_container(service);
    } else if (call.hook == Hook::restore) {
        std::ofstream(engine_.find_volume(volume)->mountpoint + "/restored") << "yes\n";
    }
}

World::World()
    : prefix_(directory_.path() + "/prefix"),
      engine_(directory_.path() + "/engine", &registry_),
      scripts_(engine_) {
    engine_.run_programs_with([this](const FakeContainer& container) {
        return container.name.starts_with("drunner-mover-") ? run_mover(container) : FakeProgram();
    });
    make_directories(prefix_ + "/usr/local/bin", 0755);
    make_directories(prefix_ + "/run/drunner");
    make_directories(prefix_ + "/etc/drunner");
    write_file(Paths(prefix_).config_file(), "HEALTHUPTIME=0\n");
    const Paths paths(prefix_);
    make_directories(paths.services());
    create_file(paths.installation_id(), installation);
    build(1);
}

// The program is the real one, on the volumes' directories.
FakeProgram World::run_mover(const FakeContainer& container) const {
    const std::string program = directory_.path() + "/mover";
    write_file(program, container.layer.at(container.arguments.at(0)).content, 0700);
    BoundedProcess process;
    process.arguments = {program};
    for (std::size_t i = 1; i < container.arguments.size(); ++i) {
        std::string argument = container.arguments[i];
        for (const VolumeMount& mount : container.mounts) {
            if (argument == mount.path) {
                argument = directory_.path() + "/engine/volumes/" + mount.volume + "/_data";
                break;
            }
        }
        process.arguments.push_back(argument);
    }
    FakeProgram ran;
    process.output = [&](std::string_view bytes) { ran.err += bytes; };
    ran.exit_code = run_bounded(process).status;
    ran.keeps_running = false;
    return ran;
}

Machine World::machine(TransactionObserver* observer) {
    const Paths paths(prefix_);
    return Machine{engine_,
                   registry_,
                   scripts_,
                   clock_,
                   progress_,
                   paths,
                   load_operator_config(paths),
                   "/fake/docker.sock",
                   "0.0.0",
                   "/fake/drunner",
                   "/usr/bin:/bin",
                   "drunner test",
                   std::chrono::seconds(0),
                   false,
                   observer};
}

FakeImage World::image(int version) const {
    const std::string number = std::to_string(version);
    FakeImage image;
    image.user = "22022:22022";
    image.files = {
        {"/drunner", fake_directory(0, 0)},
        {"/drunner/servicecfg.sh",
         {std::string(version == 1 ? "VOLUMES=(/data /extra)\n" : "VOLUMES=(/data /extra /new)\n") +
          "EXTRACONTAINERS=()\nSETTINGS=('PORT||80|where it listens|port')\n"}},
        {"/drunner/servicerunner", {"#!/bin/bash\n# version " + number + "\n"}},
        {"/data", fake_directory(22022, 22022)},
        {"/data/seed", {"from the image, version " + number + "\n", 0640, 22022, 22022}},
    };
    return image;
}

void World::build(int version) {
    engine_.add_image("app", image(version));
}

void World::write_data(const std::string& volume, const std::string& file,
                       const std::string& text) {
    std::ofstream(engine_.find_volume(volume)->mountpoint + "/" + file) << text;
}

std::vector<std::string> World::state() {
    std::vector<std::string> lines;
    for (const char* part : {"etc", "var/lib/drunner", "usr/local/bin"}) {
        if (exists(prefix_ + "/" + part)) {
            add_tree(prefix_ + "/" + part, std::string(part) + "/", directory_.path(), lines);
        }
    }
    std::erase_if(lines, [](const std::string& line) {
        return line.starts_with("var/lib/drunner/images");  // a cache
    });
    if (exists(backup_file())) {
        lines.emplace_back("backup");
    }
    for (const ContainerSummary& container : engine_.list_containers({})) {
        std::string line = "container " + container.name + " " + container.state + " " +
                           container.image_id + labels_line(container.labels);
        for (const Mount& mount : container.mounts) {
            line += " " + mount.volume + ":" + mount.path;
        }
        lines.push_back(line);
    }
    for (const Volume& volume : engine_.list_volumes({})) {
        lines.push_back(file_line(volume.mountpoint, "volume " + volume.name, directory_.path()) +
                        labels_line(volume.labels));
        add_tree(parent_of(volume.mountpoint), "volume " + volume.name + " ", directory_.path(),
                 lines);
    }
    for (const char* service : {"app", "copy"}) {
        for (int release = 1; release <= most_releases; ++release) {
            const std::string pin = pinned_image(ServiceName(service), release);
            if (const auto image = engine_.find_image(pin)) {
                lines.push_back("pin " + pin + " " + image->id);
            }
        }
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

std::string difference(const std::vector<std::string>& before,
                       const std::vector<std::string>& after) {
    std::vector<std::string> lines;
    std::string text;
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(lines));
    for (const std::string& line : lines) {
        text += "- " + line + "\n";
    }
    lines.clear();
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                        std::back_inserter(lines));
    for (const std::string& line : lines) {
        text += "+ " + line + "\n";
    }
    return text;
}

}  // namespace drunner::test
