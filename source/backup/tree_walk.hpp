#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/file.hpp"

namespace drunner {

// A directory that is open, and its path in the archive.
struct OpenDirectory {
    FileDescriptor fd;
    std::string path;
};

struct FoundEntry {
    std::shared_ptr<const OpenDirectory> directory;  // that it lies in, or that it is
    std::string name;                                // empty: the directory itself
    struct stat status {};
    std::string hard_link;  // archive path of the entry that this is another name of
    FileDescriptor
        opened;  // of a file with other names, so that it cannot vanish before it is read

    std::string path() const {
        return name.empty() ? directory->path : directory->path + "/" + name;
    }
};

// Whether one of the patterns (FORMAT.md, `excludes`) matches what stands at the path `below` a
// volume's root.
bool matches_exclude(const std::vector<std::string>& patterns, const std::string& container_path,
                     const std::string& below);

// A directory, depth first: itself, what is in it but for directories, then those. In the order of
// names (of each 65,536 in a larger directory): what is alike stands together and compresses better
// by a twentieth. Walks by open directories, so that paths have no limit and no link is ever
// followed.
class TreeWalk {
  public:
    // `prefix` is the root's path in the archive. Excluded are entries whose name, path below the
    // root, or path below the root after `container_path` matches one of the patterns (fnmatch).
    TreeWalk(const std::string& root, std::string prefix, std::string container_path,
             std::vector<std::string> excludes);

    // Empty at the end. Throws Error(system).
    std::optional<FoundEntry> next();

    std::vector<std::string> vanished;
    std::vector<std::string> sockets;

  private:
    struct Frame {
        std::shared_ptr<const OpenDirectory> directory;  // empty while it is closed to save it
        std::size_t path_size = 0;  // how much of path_ it is: whole paths would add up
        dev_t device = 0;
        ino_t inode = 0;
        std::unique_ptr<DIR, int (*)(DIR*)> stream{nullptr, closedir};
        // A part of what is in it: of each its d_type, its name and a NUL, and where they begin.
        std::string found;
        std::vector<std::uint32_t> order;
        std::size_t place = 0;
        std::string subdirectories;  // names with a NUL behind each: few bytes where there are many
        std::size_t cursor = 0;
    };

    FoundEntry enter(FileDescriptor fd, std::string path, const struct stat& status);
    bool read_names(Frame& frame) const;
    std::optional<FoundEntry> next_in(Frame& frame);
    std::optional<FoundEntry> next_below(Frame& frame);
    void leave();
    bool is_excluded(const std::string& path) const;
    bool note_links(FoundEntry& entry);

    std::size_t prefix_size_;
    std::string container_path_;
    std::vector<std::string> excludes_;
    std::optional<FoundEntry> root_;
    std::vector<Frame> stack_;
    std::string path_;  // of the innermost frame
    struct Links {
        std::string path;
        nlink_t left;
    };
    std::map<std::pair<dev_t, ino_t>, Links> links_;
};

}  // namespace drunner
