#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backup/age.hpp"
#include "backup/age_key.hpp"
#include "backup/backup_header.hpp"
#include "backup/frame_stream.hpp"
#include "backup/tar.hpp"
#include "backup/tree_writer.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// Of the JSON members: settings and labels of 64 volumes need a fraction of it.
constexpr std::uint64_t json_limit = std::uint64_t{16} << 20U;
constexpr std::size_t path_limit = std::size_t{128} * 1024;
constexpr std::size_t name_limit = 255;
// Of the attributes of directories that are open at once: they are set when a directory is
// complete, and nothing else bounds how many wait.
constexpr std::size_t open_attributes_limit = std::size_t{64} << 20U;
constexpr int wait_milliseconds = 200;
// 7zFormat.txt of the LZMA SDK, "SignatureHeader".
constexpr std::string_view seven_zip_magic = "7z\xbc\xaf\x27\x1c";

[[noreturn]] void damaged(const std::string& why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
}

// Reads the descriptor and can be stopped by a signal while a pipe has nothing.
ByteSource source_of(int fd) {
    return [fd](std::span<std::byte> buffer) -> std::size_t {
        while (true) {
            check_cancellation();
            pollfd waiting{fd, POLLIN, 0};
            const int ready = poll(&waiting, 1, wait_milliseconds);
            if (ready == 0 || (ready < 0 && errno == EINTR)) {
                continue;
            }
            const ssize_t got = read(fd, buffer.data(), buffer.size());
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno != EINTR && errno != EAGAIN) {
                throw system_error("cannot read the backup", errno);
            }
        }
    };
}

// A source whose first bytes can be looked at.
class Beginning {
  public:
    Beginning(ByteSource source, std::size_t size) : source_(std::move(source)) {
        std::vector<std::byte> buffer(size);
        while (bytes_.size() < size) {
            const std::size_t got = source_(std::span(buffer).first(size - bytes_.size()));
            if (got == 0) {
                break;
            }
            bytes_ += as_text(Bytes(buffer).first(got));
        }
    }

    const std::string& bytes() const { return bytes_; }

    ByteSource whole() && {
        return [bytes = std::move(bytes_), source = std::move(source_),
                used = std::size_t{0}](std::span<std::byte> buffer) mutable {
            if (used == bytes.size()) {
                return source(buffer);
            }
            const std::size_t part = std::min(buffer.size(), bytes.size() - used);
            std::memcpy(buffer.data(), bytes.data() + used, part);
            used += part;
            return part;
        };
    }

  private:
    ByteSource source_;
    std::string bytes_;
};

// A zstd frame, or a skippable one: how a backup without a key begins.
bool begins_as_frame(std::string_view bytes) {
    constexpr std::string_view frame = "\x28\xb5\x2f\xfd";
    constexpr std::string_view skippable_end = "\x2a\x4d\x18";
    return bytes.starts_with(frame) ||
           (bytes.size() > skippable_end.size() && bytes.substr(1).starts_with(skippable_end));
}

ByteSource decrypted(int fd, const OpenKey& key) {
    Beginning beginning(source_of(fd), age_magic.size());
    const bool has_key = !key.password.empty() || !key.identity_file.empty();
    if (beginning.bytes() == age_magic) {
        std::vector<Key32> identities;
        if (!key.identity_file.empty()) {
            identities = parse_age_identities(read_file(key.identity_file), key.identity_file);
        }
        const auto decryptor =
            std::make_shared<AgeDecryptor>(std::move(beginning).whole(), key.password, identities);
        return [decryptor](std::span<std::byte> buffer) { return decryptor->read(buffer); };
    }
    if (beginning.bytes().starts_with("-----BEGIN AGE")) {
        throw Error(ErrorKind::archive_refused, "the file is age's ASCII armor",
                    "age -d FILE | drunner restore -");
    }
    if (beginning.bytes().starts_with(seven_zip_magic)) {
        throw Error(ErrorKind::archive_refused,
                    "the file is a 7-Zip archive, as the drunner of 2016 wrote its backups, and "
                    "this drunner cannot read those",
                    "7z x -so FILE | tar -xC EMPTYDIRECTORY");
    }
    if (beginning.bytes().empty()) {
        damaged("it is empty");
    }
    if (!begins_as_frame(beginning.bytes())) {
        damaged("it is no backup at all");
    }
    if (has_key && !key.allow_plain) {
        throw Error(ErrorKind::wrong_password, "a key was given, but the file is not encrypted",
                    "leave the key out, or give --plain");
    }
    return std::move(beginning).whole();
}

std::string_view type_word(TarType type) {
    switch (type) {
        case TarType::file:
            return "file";
        case TarType::directory:
            return "dir";
        case TarType::symlink:
            return "link";
        case TarType::hard_link:
            return "hardlink";
        case TarType::fifo:
            return "fifo";
        default:
            return "device";
    }
}

// A part of a backup that is one tree of files.
struct Section {
    std::string member;
    std::string volume;     // path of it; empty for scripts and the hook's directory
    std::string directory;  // where it goes; empty: nowhere
};

// True where the link, standing in `directory` (below the root), names something below the root.
// Going up is allowed at the beginning only: after a name that is itself a link it leads anywhere.
bool stays_inside(std::string_view directory, std::string_view target) {
    std::ptrdiff_t depth =
        directory.empty() ? 0 : std::count(directory.begin(), directory.end(), '/') + 1;
    bool down = false;
    for (const std::string& part : split(target, '/')) {
        const bool up = part == "..";
        depth -= up ? 1 : 0;
        if (depth < 0 || (up && down)) {
            return false;
        }
        down = down || (!up && !part.empty() && part != ".");
    }
    return !target.starts_with('/');
}

// Follows the members of a backup, depth first, and refuses every one that is not in its place.
class Placement {
  public:
    explicit Placement(std::vector<Section> sections) : sections_(std::move(sections)) {}

    struct Place {
        const Section* section = nullptr;
        bool starts = false;     // it is the section's own directory
        std::string name;        // last part
        std::size_t leaves = 0;  // directories that are complete now
    };

    Place place(const TarEntry& entry) {
        check_length(entry.path);
        for (std::size_t i = next_section_; i < sections_.size(); ++i) {
            if (entry.path == sections_[i].member) {
                require_directory(entry);
                Place place{&sections_[i], true, {}, leave(0)};
                next_section_ = i + 1;
                enter(entry);
                section_ = &sections_[i];
                return place;
            }
        }
        const std::size_t slash = entry.path.rfind('/');
        const std::size_t parent_size = slash == std::string::npos ? 0 : slash;
        std::size_t depth = levels_.size();
        while (depth > 0 && levels_[depth - 1].path_size > parent_size) {
            --depth;
        }
        if (depth == 0 || levels_[depth - 1].path_size != parent_size ||
            path_.compare(0, parent_size, entry.path, 0, parent_size) != 0) {
            damaged(fmt::format("'{}' is not in its place", printable(entry.path)));
        }
        Place place{section_, false, entry.path.substr(slash + 1), leave(depth)};
        check_name(place.name, entry.path);
        levels_.back().names.push_back(std::hash<std::string>()(place.name));
        if (entry.type == TarType::directory) {
            enter(entry);
        }
        return place;
    }

    // The directories that are open at the end.
    std::size_t finish() { return leave(0); }

    // The path of a hard link's target below the section's directory.
    std::string link_target(const TarEntry& entry) const {
        const std::string root = section_->member + "/";
        if (!entry.target.starts_with(root)) {
            damaged(fmt::format("'{}' links out of its volume", printable(entry.path)));
        }
        check_length(entry.target);
        std::string below = entry.target.substr(root.size());
        for (const std::string& part : split(below, '/')) {
            check_name(part, entry.path);
        }
        return below;
    }

    std::string below_section(const std::string& path) const {
        return path == section_->member ? "" : path.substr(section_->member.size() + 1);
    }

  private:
    struct Level {
        std::size_t path_size;           // how much of path_ it is: whole paths would add up
        std::size_t attributes;          // bytes
        std::vector<std::size_t> names;  // hashes: a directory may hold millions
    };

    void enter(const TarEntry& directory) {
        std::size_t attributes = 0;
        for (const auto& [name, value] : directory.attributes) {
            attributes += name.size() + value.size();
        }
        open_attributes_ += attributes;
        if (open_attributes_ > open_attributes_limit) {
            throw Error(ErrorKind::archive_refused,
                        fmt::format("the directories around '{}' have more than {} of attributes",
                                    printable(directory.path), human_size(open_attributes_limit)));
        }
        path_ = directory.path;
        levels_.push_back({path_.size(), attributes, {}});
    }

    // Shows that no two names of a complete directory are the same.
    std::size_t leave(std::size_t depth) {
        std::size_t count = 0;
        while (levels_.size() > depth) {
            std::vector<std::size_t>& names = levels_.back().names;
            std::sort(names.begin(), names.end());
            if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
                damaged(fmt::format("something in '{}' is there twice", printable(path_)));
            }
            open_attributes_ -= levels_.back().attributes;
            levels_.pop_back();
            path_.resize(levels_.empty() ? 0 : levels_.back().path_size);
            ++count;
        }
        return count;
    }

    static void require_directory(const TarEntry& entry) {
        if (entry.type != TarType::directory) {
            damaged(fmt::format("'{}' is no directory", entry.path));
        }
    }

    static void check_length(const std::string& path) {
        if (path.size() > path_limit) {
            damaged("a path in it is too long");
        }
    }

    static void check_name(std::string_view name, const std::string& path) {
        if (name.empty() || name == "." || name == ".." || name.size() > name_limit) {
            damaged(fmt::format("'{}' is no path for a backup", printable(path)));
        }
    }

    std::vector<Section> sections_;
    std::size_t next_section_ = 0;
    const Section* section_ = nullptr;
    std::string path_;  // of the innermost directory
    std::vector<Level> levels_;
    std::size_t open_attributes_ = 0;
};

class StreamedBackup : public BackupReader {
  public:
    StreamedBackup(ByteSource source, bool require_trailer)
        : frames_(std::move(source), require_trailer), tar_([this] { return frames_.next(); }) {
        const std::optional<TarEntry> entry = tar_.next();
        if (!entry || entry->path != header_member || entry->type != TarType::file) {
            damaged("it does not begin with a header");
        }
        header_ = backup_header_from_json(json_text(*entry));
        count(*entry);
    }

    const BackupHeader& header() override { return header_; }

    RestoreResult extract(const RestoreTargets& targets, Progress& progress) override {
        return read("restore", targets, {}, progress);
    }

    RestoreResult verify(const std::function<void(const Member&)>& member,
                         Progress& progress) override {
        return read("verify", {}, member, progress);
    }

    void read_image(const std::function<void(const ByteSource&)>& load) override {
        std::vector<std::byte> held;
        std::size_t used = 0;
        ahead_ = tar_.next();
        bool inside = take_image_part();
        const auto source = [&](std::span<std::byte> buffer) -> std::size_t {
            while (inside && used == held.size()) {
                const Bytes bytes = tar_.content().bytes;
                held.assign(bytes.begin(), bytes.end());
                used = 0;
                if (held.empty()) {
                    ahead_ = tar_.next();
                    inside = take_image_part();
                }
            }
            const std::size_t count = std::min(buffer.size(), held.size() - used);
            std::copy_n(held.begin() + static_cast<std::ptrdiff_t>(used), count, buffer.begin());
            used += count;
            return count;
        };
        load(source);
        // The engine need not read what follows the end of its tar.
        std::array<std::byte, 4096> rest{};
        while (source(rest) > 0) {
            check_cancellation();
        }
    }

  private:
    // Whether the entry ahead is the next part of the image, which is then counted.
    bool take_image_part() {
        if (!ahead_ || ahead_->path != image_member(image_parts_)) {
            return false;
        }
        if (!header_.image_embedded || ahead_->type != TarType::file || ahead_->sparse) {
            damaged(fmt::format("'{}' is not in its place", ahead_->path));
        }
        ++image_parts_;
        image_bytes_ += stored_size(*ahead_);
        count(*ahead_);
        return true;
    }

    // The first entry behind the image.
    std::optional<TarEntry> next_entry() {
        if (!behind_image_) {
            if (!ahead_) {
                ahead_ = tar_.next();
            }
            while (take_image_part()) {
                check_cancellation();
                ahead_ = tar_.next();
            }
            if (header_.image_embedded && image_parts_ == 0) {
                damaged("its image is missing");
            }
            behind_image_ = true;
            return std::exchange(ahead_, std::nullopt);
        }
        return tar_.next();
    }

    std::string json_text(const TarEntry& entry) {
        if (entry.sparse || entry.size > json_limit) {
            damaged(fmt::format("'{}' is too large", printable(entry.path)));
        }
        std::string text;
        for (auto part = tar_.content(); !part.bytes.empty(); part = tar_.content()) {
            text += as_text(part.bytes);
        }
        return text;
    }

    void count(const TarEntry& entry) {
        ++seen_.members;
        seen_.content_bytes += stored_size(entry);
    }

    std::vector<Section> sections(const RestoreTargets& targets) const {
        std::vector<Section> all{{std::string(scripts_member), {}, targets.scripts_directory},
                                 {std::string(hook_member), {}, targets.hook_directory}};
        for (std::size_t i = 0; i < header_.volumes.size(); ++i) {
            const std::string& path = header_.volumes[i].path;
            const auto target = targets.volumes.find(path);
            all.push_back({volume_member(i), path,
                           target == targets.volumes.end() ? std::string() : target->second});
        }
        return all;
    }

    // Scripts and the hook's directory are read by root, who must not be led elsewhere.
    static void check_for_root(const TarEntry& entry, const std::string& below,
                               const Section& section) {
        if (!section.volume.empty()) {
            return;
        }
        const std::size_t slash = below.rfind('/');
        const bool leads_out =
            entry.type == TarType::symlink &&
            !stays_inside(below.substr(0, slash == std::string::npos ? 0 : slash), entry.target);
        if (leads_out) {
            throw Error(ErrorKind::archive_refused,
                        fmt::format("'{}' in the backup is a link that leads out of its directory",
                                    printable(entry.path)));
        }
    }

    RestoreResult read(const char* activity_name, const RestoreTargets& targets,
                       const std::function<void(const Member&)>& member, Progress& progress) {
        Placement placement(sections(targets));
        std::unique_ptr<TreeWriter> writer;
        RestoreResult result;
        Activity activity(progress, activity_name);
        const auto finish_writer = [&] {
            if (writer) {
                writer->finish();
                for (const std::string& warning : writer->warnings()) {
                    progress.warning(warning);
                }
                writer.reset();
            }
        };
        std::optional<TarEntry> entry;
        while (true) {
            entry = next_entry();
            if (!entry) {
                damaged("it is truncated, its closing member is missing");
            }
            if (entry->path == closing_member && entry->type == TarType::file) {
                break;
            }
            check_cancellation();
            const Placement::Place place = placement.place(*entry);
            const std::string below = placement.below_section(entry->path);
            check_for_root(*entry, below, *place.section);
            const std::string target =
                entry->type == TarType::hard_link ? placement.link_target(*entry) : std::string();
            count(*entry);
            result.files += entry->type == TarType::file ? 1 : 0;
            activity.at(seen_.content_bytes, 0);
            if (member) {
                member({place.section->volume, below, entry->size, entry->mode,
                        std::string(type_word(entry->type))});
            }
            if (place.starts) {
                finish_writer();
                if (!place.section->directory.empty()) {
                    writer =
                        std::make_unique<TreeWriter>(place.section->directory, std::move(*entry));
                }
                continue;
            }
            if (!writer) {
                continue;
            }
            for (std::size_t i = 0; i < place.leaves; ++i) {
                writer->close_directory();
            }
            switch (entry->type) {
                case TarType::directory:
                    writer->open_directory(place.name, std::move(*entry));
                    break;
                case TarType::hard_link:
                    writer->add_hard_link(place.name, target);
                    break;
                case TarType::character_device:
                case TarType::block_device:
                    progress.warning(
                        fmt::format("'{}' is a device and is left out", printable(entry->path)));
                    break;
                default:
                    writer->add(place.name, std::move(*entry), tar_);
            }
        }
        placement.finish();
        check_closing(*entry);
        finish_writer();
        result.original_bytes = seen_.content_bytes - image_bytes_;
        return result;
    }

    void check_closing(const TarEntry& entry) {
        seen_.headers_sha256 = tar_.headers_sha256();
        const BackupClosing closing = backup_closing_from_json(json_text(entry));
        if (closing != seen_) {
            damaged("its closing member does not fit what came before");
        }
        // The archive's end, all that follows it, and the trailer.
        if (tar_.next()) {
            damaged("something follows its closing member");
        }
    }

    FrameStream frames_;
    TarReader tar_;
    BackupHeader header_;
    BackupClosing seen_;
    std::optional<TarEntry> ahead_;
    std::size_t image_parts_ = 0;
    std::uint64_t image_bytes_ = 0;
    bool behind_image_ = false;
};

}  // namespace

std::unique_ptr<BackupReader> open_backup(int fd, const OpenKey& key) {
    return std::make_unique<StreamedBackup>(decrypted(fd, key), key.require_trailer);
}

}  // namespace drunner
