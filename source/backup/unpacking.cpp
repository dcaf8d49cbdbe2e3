#include "backup/unpacking.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "backup/tree_sender.hpp"
#include "backup/tree_writer.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::size_t path_limit = std::size_t{128} * 1024;
constexpr std::size_t name_limit = 255;
// Of the attributes of directories that are open at once: they are set when a directory is
// complete, and nothing else bounds how many wait.
constexpr std::size_t open_attributes_limit = std::size_t{64} << 20U;

[[noreturn]] void damaged(const std::string& why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
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

// Scripts and the hook's directory are read by root, who must not be led elsewhere.
void check_for_root(const TarEntry& entry, const std::string& below, const Section& section) {
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

}  // namespace

struct Unpacking::State {
    State(std::vector<Section> sections, std::function<void(const BackupReader::Member&)> seen,
          Progress& told)
        : placement(std::move(sections)), member(std::move(seen)), progress(told) {}

    void finish_writer() {
        if (writer) {
            writer->finish();
            for (const std::string& warning : writer->warnings()) {
                progress.warning(warning);
            }
            writer.reset();
        }
    }

    Placement placement;
    std::function<void(const BackupReader::Member&)> member;
    Progress& progress;
    std::unique_ptr<TreeSink> writer;
    std::uint64_t files = 0;
};

Unpacking::Unpacking(std::vector<Section> sections,
                     std::function<void(const BackupReader::Member&)> member, Progress& progress)
    : state_(std::make_unique<State>(std::move(sections), std::move(member), progress)) {}

Unpacking::~Unpacking() = default;

void Unpacking::take(TarEntry entry, ContentSource& content) {
    const Placement::Place place = state_->placement.place(entry);
    const std::string below = state_->placement.below_section(entry.path);
    check_for_root(entry, below, *place.section);
    const std::string target =
        entry.type == TarType::hard_link ? state_->placement.link_target(entry) : std::string();
    state_->files += entry.type == TarType::file ? 1 : 0;
    if (state_->member) {
        state_->member({place.section->volume, below, entry.size, entry.mode,
                        std::string(type_word(entry.type))});
    }
    std::unique_ptr<TreeSink>& writer = state_->writer;
    if (place.starts) {
        state_->finish_writer();
        if (!place.section->directory.empty()) {
            writer = std::make_unique<TreeWriter>(place.section->directory, std::move(entry));
        } else if (place.section->stream) {
            writer = std::make_unique<TreeSender>(*place.section->stream, std::move(entry));
        }
        return;
    }
    if (!writer) {
        return;
    }
    for (std::size_t i = 0; i < place.leaves; ++i) {
        writer->close_directory();
    }
    switch (entry.type) {
        case TarType::directory:
            writer->open_directory(place.name, std::move(entry));
            break;
        case TarType::hard_link:
            writer->add_hard_link(place.name, std::move(entry), target);
            break;
        case TarType::character_device:
        case TarType::block_device:
            state_->progress.warning(
                fmt::format("'{}' is a device and is left out", printable(entry.path)));
            break;
        default:
            writer->add(place.name, std::move(entry), content);
    }
}

void Unpacking::finish() {
    state_->placement.finish();
    state_->finish_writer();
}

std::uint64_t Unpacking::files() const {
    return state_->files;
}

}  // namespace drunner
