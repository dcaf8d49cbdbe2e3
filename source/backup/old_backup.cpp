#include "backup/old_backup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "backup/foreign_tar.hpp"
#include "backup/scratch_file.hpp"
#include "backup/seven_zip.hpp"
#include "backup/unpacking.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "service/shell_assignments.hpp"

namespace drunner {
namespace {

constexpr const char* outer_name = "the outer archive";
constexpr std::array variables_names{"_oldvariables", "oldvariables.sh"};
constexpr std::string_view volumes_directory = "drbackup";
constexpr std::string_view volume_ending = ".tar.7z";
constexpr std::string_view hook_directory = "containerbackup";
constexpr std::uint64_t variables_limit = std::uint64_t{1} << 20U;
constexpr std::size_t copy_size = std::size_t{256} * 1024;
constexpr std::size_t most_volumes = 64;
constexpr std::size_t longest_volume_name = 255;

[[noreturn]] void damaged(const std::string& why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
}

[[noreturn]] void refused(const std::string& why) {
    throw Error(ErrorKind::archive_refused, fmt::format("the backup is refused: {}", why));
}

bool is_below(std::string_view path, std::string_view directory) {
    return path.starts_with(directory) &&
           (path.size() == directory.size() || path[directory.size()] == '/');
}

// The grammar of the engine: what it lets nobody name a volume, no backup has.
bool is_volume_name(std::string_view name) {
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= longest_volume_name && is_word(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return is_word(c) || c == '_' || c == '.' || c == '-'; });
}

void check_volume_names(const std::vector<std::string>& names) {
    if (names.size() > most_volumes) {
        refused(
            fmt::format("it has {} volumes, at most {} are possible", names.size(), most_volumes));
    }
    std::set<std::string> seen;
    for (const std::string& name : names) {
        if (!is_volume_name(name)) {
            refused(fmt::format("'{}' is no volume's name", printable(name)));
        }
        if (!seen.insert(name).second) {
            refused(fmt::format("two of its volumes have the name '{}'", name));
        }
    }
}

std::string one_word(const ShellValues& values, const char* name) {
    const auto found = values.find(name);
    if (found == values.end()) {
        return {};
    }
    if (found->second.words.size() != 1) {
        refused(fmt::format("{} in it is not one word", name));
    }
    return found->second.words.front();
}

std::string volume_directory(const std::string& volume) {
    return fmt::format("{}/{}", volumes_directory, volume);
}

std::string volume_member(const std::string& volume) {
    return volume_directory(volume) + std::string(volume_ending);
}

// The name of the volume whose archive this member is; empty where it is none.
std::string volume_of(std::string_view path) {
    if (!is_below(path, volumes_directory) || path.size() <= volumes_directory.size() + 1 ||
        !path.ends_with(volume_ending)) {
        return {};
    }
    path.remove_prefix(volumes_directory.size() + 1);
    path.remove_suffix(std::min(path.size(), volume_ending.size()));
    return std::string(path);
}

bool is_variables_file(std::string_view path) {
    return std::find(variables_names.begin(), variables_names.end(), path) != variables_names.end();
}

void require_file(const TarEntry& entry) {
    if (entry.type != TarType::file || entry.sparse) {
        damaged(fmt::format("'{}' is no plain file", printable(entry.path)));
    }
}

std::string text_of(const TarEntry& entry, ContentSource& content) {
    require_file(entry);
    if (entry.size > variables_limit) {
        damaged(fmt::format("'{}' is too large", printable(entry.path)));
    }
    std::string text;
    for (auto part = content.content(); !part.bytes.empty(); part = content.content()) {
        text += as_text(part.bytes);
    }
    return text;
}

// A directory out of a foreign tar as a section of a backup.
class Tree {
  public:
    Tree(const Section& section, const std::function<void(const BackupReader::Member&)>& member,
         Progress& progress)
        : root_(section.member), unpacking_({section}, member, progress) {}

    // Its path, and a hard link's target, are those below the tree's root.
    void take(TarEntry entry, ContentSource& content) {
        if (!begun_ && !entry.path.empty()) {
            // Written from its content only.
            TarEntry root;
            root.path = root_;
            root.type = TarType::directory;
            root.mode = 0755;
            unpacking_.take(std::move(root), content);
        }
        begun_ = true;
        entry.path = entry.path.empty() ? root_ : root_ + "/" + entry.path;
        if (entry.type == TarType::hard_link) {
            entry.target = root_ + "/" + entry.target;
        }
        bytes_ += entry.size;
        unpacking_.take(std::move(entry), content);
    }

    void finish() { unpacking_.finish(); }
    RestoreResult result() const { return {unpacking_.files(), bytes_}; }

  private:
    std::string root_;
    Unpacking unpacking_;
    bool begun_ = false;
    std::uint64_t bytes_ = 0;
};

// Below the directory with the hook's files. A hard link may only lead to what is there too.
TarEntry below_hook_directory(TarEntry entry) {
    const auto below = [](const std::string& path) {
        return path.substr(std::min(path.size(), hook_directory.size() + 1));
    };
    if (entry.type == TarType::hard_link) {
        if (!is_below(entry.target, hook_directory)) {
            damaged(fmt::format("'{}' links out of its directory", printable(entry.path)));
        }
        entry.target = below(entry.target);
    }
    entry.path = below(entry.path);
    return entry;
}

class OldBackup : public BackupReader {
  public:
    OldBackup(int file, OpenPacked open) : file_(file), open_(std::move(open)) { scan(); }

    const BackupHeader& header() override { return header_; }

    // There is none, and the header says so.
    void read_image(const std::function<void(const ByteSource&)>&) override {}

    RestoreResult extract(const RestoreTargets& targets, Progress& progress) override {
        return read("restore", targets, {}, progress);
    }

    RestoreResult verify(const std::function<void(const Member&)>& member,
                         Progress& progress) override {
        const RestoreResult result = read("verify", {}, member, progress);
        for (const BackupVolume& volume : header_.volumes) {
            if (volume.absent) {
                damaged(fmt::format("'{}' is missing", volume_member(volume.name)));
            }
        }
        return result;
    }

  private:
    void scan() {
        std::optional<OldVariables> variables;
        std::set<std::string> volumes;
        ForeignTar outer(open_(file_, outer_name), outer_name);
        while (const std::optional<TarEntry> entry = outer.next()) {
            check_cancellation();
            if (is_variables_file(entry->path)) {
                if (variables) {
                    damaged(fmt::format("'{}' is there twice", entry->path));
                }
                variables = parse_old_variables(text_of(*entry, outer));
            } else if (const std::string volume = volume_of(entry->path);
                       is_volume_name(volume) && volumes.size() <= most_volumes) {
                volumes.insert(volume);
            }
        }
        if (!variables) {
            damaged(fmt::format("it has neither '{}' nor '{}'", variables_names[0],
                                variables_names[1]));
        }
        header_.from_old_tool = true;
        header_.service = variables->service;
        header_.image_reference = variables->image;
        for (const std::string& name : variables->volumes) {
            BackupVolume volume;
            volume.path = name;
            volume.name = name;
            volume.absent = !volumes.contains(name);
            header_.volumes.push_back(std::move(volume));
        }
    }

    // What one reading of the file shares.
    struct Reading {
        const RestoreTargets& targets;
        const std::function<void(const Member&)>& member;
        Progress& progress;
        Activity activity;
        RestoreResult result;

        void add(const RestoreResult& more) {
            result.files += more.files;
            result.original_bytes += more.original_bytes;
        }
    };

    RestoreResult read(const char* activity, const RestoreTargets& targets,
                       const std::function<void(const Member&)>& member, Progress& progress) {
        Reading reading{targets, member, progress, {progress, activity}, {}};
        Tree hook({std::string(hook_directory), {}, targets.hook_directory}, member, progress);
        std::set<std::string> done;
        ForeignTar outer(open_(file_, outer_name), outer_name);
        while (std::optional<TarEntry> entry = outer.next()) {
            check_cancellation();
            const std::string volume = volume_of(entry->path);
            if (is_below(entry->path, hook_directory)) {
                reading.activity.add(entry->size);
                hook.take(below_hook_directory(std::move(*entry)), outer);
            } else if (is_known(volume)) {
                if (!done.insert(volume).second) {
                    damaged(fmt::format("'{}' is there twice", entry->path));
                }
                read_volume(reading, volume, *entry, outer);
            } else if (!volume.empty()) {
                progress.warning(
                    fmt::format("'{}' in the backup is of no volume that it names, and is left out",
                                printable(entry->path)));
            }
        }
        hook.finish();
        reading.add(hook.result());
        return reading.result;
    }

    bool is_known(const std::string& volume) const {
        return std::any_of(header_.volumes.begin(), header_.volumes.end(),
                           [&](const BackupVolume& one) { return one.name == volume; });
    }

    // 7-Zip reads the end of an archive first, so each is copied out of the stream; one at a time.
    void read_volume(Reading& reading, const std::string& volume, const TarEntry& entry,
                     ContentSource& content) {
        require_file(entry);
        ScratchFile copy;
        for (auto part = content.content(); !part.bytes.empty(); part = content.content()) {
            check_cancellation();
            copy.write(part.bytes);
        }
        const auto target = reading.targets.volumes.find(volume);
        const bool wanted = target != reading.targets.volumes.end();
        Section section{volume_directory(volume), volume, wanted ? target->second : std::string()};
        if (const auto stream = reading.targets.streams.find(volume);
            stream != reading.targets.streams.end()) {
            section.stream = stream->second;
        }
        Tree tree(section, reading.member, reading.progress);
        const std::string shown = fmt::format("'{}'", volume_member(volume));
        ForeignTar inner(open_(copy.descriptor(), shown), shown);
        while (std::optional<TarEntry> member = inner.next()) {
            check_cancellation();
            reading.activity.add(member->size);
            tree.take(std::move(*member), inner);
        }
        tree.finish();
        reading.add(tree.result());
    }

    int file_;
    OpenPacked open_;
    BackupHeader header_;
};

}  // namespace

bool begins_as_old_backup(std::string_view bytes) {
    return bytes.starts_with(seven_zip_magic);
}

OldVariables parse_old_variables(std::string_view text) {
    ShellValues values;
    try {
        values = parse_shell_assignments(text);
    } catch (const NeedsBash& stop) {
        refused(
            fmt::format("line {} of its variables is more than an assignment, and nothing of "
                        "it is executed: {}",
                        stop.line, printable(stop.text)));
    } catch (const MalformedShell& stop) {
        damaged(fmt::format("line {} of its variables: {}", stop.line, stop.why));
    }
    auto volumes = values.find("OLDDOCKERVOLS");
    if (volumes == values.end()) {
        volumes = values.find("DOCKERVOLS");
    }
    if (volumes == values.end()) {
        damaged("its variables name no volumes");
    }
    OldVariables variables{one_word(values, "SERVICENAME"), one_word(values, "IMAGENAME"),
                           volumes->second.words};
    check_volume_names(variables.volumes);
    return variables;
}

std::unique_ptr<BackupReader> read_old_backup(int file, OpenPacked open) {
    return std::make_unique<OldBackup>(file, std::move(open));
}

std::unique_ptr<BackupReader> open_old_backup(int fd, const ByteSource& whole, const OpenKey& key) {
    const auto program = std::make_shared<SevenZip>(key);
    std::shared_ptr<ScratchFile> copy;
    struct stat status {};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        copy = std::make_shared<ScratchFile>();
        std::vector<std::byte> buffer(copy_size);
        while (const std::size_t got = whole(buffer)) {
            copy->write(Bytes(buffer).first(got));
        }
    }
    const bool needs_encryption = !key.password.empty() && !key.allow_plain;
    return read_old_backup(copy ? copy->descriptor() : fd, [program, copy, needs_encryption](
                                                               int file, const std::string& shown) {
        ByteSource packed = program->open(file, shown);
        if (needs_encryption && !program->was_encrypted()) {
            throw Error(ErrorKind::wrong_password, "a key was given, but the file is not encrypted",
                        "leave the key out, or give --plain");
        }
        return packed;
    });
}

}  // namespace drunner
