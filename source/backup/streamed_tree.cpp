#include "backup/streamed_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "archive/turned_stream.hpp"
#include "backup/foreign_tar.hpp"
#include "backup/tar.hpp"
#include "backup/tree_walk.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {

struct StreamedTree::State {
    State(const VolumeStream& stream, std::string root, const BackupVolume& volume,
          std::vector<std::string> patterns)
        : shown(fmt::format("what the container engine sends of volume '{}'",
                            printable(volume.name))),
          tar_root(stream.root),
          member(std::move(root)),
          container_path(volume.path),
          excludes(std::move(patterns)),
          pulled(stream.read),
          tar([this](std::span<std::byte> buffer) { return pulled.read(buffer); }, shown) {}

    [[noreturn]] void refuse(const std::string& why) const {
        throw Error(ErrorKind::archive_damaged, fmt::format("{} {}", shown, why));
    }

    // The path below the volume's root.
    std::string below(const std::string& path) const {
        if (path == tar_root) {
            return {};
        }
        if (!path.starts_with(tar_root + "/")) {
            refuse(fmt::format("has '{}' in it", printable(path)));
        }
        return path.substr(tar_root.size() + 1);
    }

    // It, or a directory that it is in.
    bool is_excluded(const std::string& path) const {
        for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
            if (matches_exclude(excludes, container_path, path.substr(0, end))) {
                return true;
            }
            if (end == std::string::npos) {
                return false;
            }
        }
    }

    // The next member that is kept, with its path in the backup.
    std::optional<TarEntry> next_entry() {
        while (std::optional<TarEntry> entry = tar.next()) {
            const std::string path = below(entry->path);
            if (path.empty() != is_first || (is_first && entry->type != TarType::directory)) {
                refuse("does not begin with its directory");
            }
            is_first = false;
            if (!path.empty() && !excludes.empty() && is_excluded(path)) {
                continue;
            }
            entry->path = path.empty() ? member : member + "/" + path;
            if (entry->type == TarType::hard_link) {
                const std::string target = below(entry->target);
                if (!excludes.empty() && is_excluded(target)) {
                    throw Error(
                        ErrorKind::usage,
                        fmt::format("'{}' is to be left out, but '{}' is another name of it",
                                    printable(target), printable(path)),
                        "leave both out");
                }
                entry->target = member + "/" + target;
            }
            return entry;
        }
        if (is_first) {
            refuse("is empty");
        }
        return std::nullopt;
    }

    void append_header(TarEntry entry, Part& part) {
        entry.sparse = false;
        const std::string header = encode_tar_header(entry);
        part.tar.append(as_bytes(header));
        part.notes.headers += header;
        ++part.notes.members;
        if (entry.type == TarType::file) {
            ++part.notes.files;
            part.notes.content_bytes += entry.size;
            file.emplace(tar, entry.size);
            padding = tar_padding(entry.size);
        }
    }

    // Of the file that was begun.
    void append_content(Part& part, std::uint64_t size) {
        while (file && part.tar.size() < size) {
            const Bytes bytes = file->next();
            part.tar.append(bytes);
            if (bytes.empty()) {
                constexpr std::array<std::byte, tar_block> zeros{};
                part.tar.append(Bytes(zeros).first(padding));
                file.reset();
            }
        }
    }

    std::string shown;
    std::string tar_root;
    std::string member;
    std::string container_path;
    std::vector<std::string> excludes;
    PulledStream pulled;
    ForeignTar tar;
    bool is_first = true;
    std::optional<WholeContent> file;  // that is being read
    std::uint64_t padding = 0;         // that follows it
};

TarEntry streamed_root(const VolumeStream& stream) {
    PulledStream pulled(stream.read);
    ForeignTar tar([&](std::span<std::byte> buffer) { return pulled.read(buffer); },
                   "what the container engine sends");
    std::optional<TarEntry> root = tar.next();
    if (!root || root->type != TarType::directory || root->path != stream.root) {
        throw Error(ErrorKind::archive_damaged,
                    "what the container engine sends does not begin with its directory");
    }
    return *root;
}

std::uint64_t streamed_size(const VolumeStream& stream, std::uint64_t enough) {
    PulledStream pulled(stream.read);
    ForeignTar tar([&](std::span<std::byte> buffer) { return pulled.read(buffer); },
                   "what the container engine sends");
    std::uint64_t size = 0;
    while (size <= enough) {
        const std::optional<TarEntry> entry = tar.next();
        if (!entry) {
            break;
        }
        size += entry->type == TarType::file ? entry->size : 0;
    }
    return size;
}

StreamedTree::StreamedTree(const VolumeStream& stream, std::string member,
                           const BackupVolume& volume, std::vector<std::string> excludes)
    : state_(std::make_unique<State>(stream, std::move(member), volume, std::move(excludes))) {}

StreamedTree::~StreamedTree() = default;

std::optional<StreamedTree::Part> StreamedTree::next(std::uint64_t size) {
    Part part;
    state_->append_content(part, size);
    while (part.tar.size() < size) {
        std::optional<TarEntry> entry = state_->next_entry();
        if (!entry) {
            break;
        }
        state_->append_header(std::move(*entry), part);
        state_->append_content(part, size);
    }
    if (part.tar.size() == 0) {
        return std::nullopt;
    }
    return part;
}

}  // namespace drunner
