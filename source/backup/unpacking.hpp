#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "backup/tar.hpp"
#include "core/progress.hpp"

namespace drunner {

// A part of a backup that is one tree of files.
struct Section {
    std::string member;     // path of its own directory in the archive
    std::string volume;     // path of the volume; empty for what root reads: scripts, hook's files
    std::string directory;  // where it goes; empty: nowhere, or to `stream`
    std::optional<VolumeStream> stream = {};
};

// The members of a backup, depth first, on their way into the directories of their sections. Every
// one that is not in its place is refused: paths with "..", members of what is no directory, names
// that are there twice, hard links out of their section, and links out of what root reads. Devices
// are left out with a warning. Throws Error(archive_damaged), Error(archive_refused), and what
// TreeWriter and TreeSender throw.
class Unpacking {
  public:
    // Sections come in this order; each may be absent. `member` may be empty.
    Unpacking(std::vector<Section> sections,
              std::function<void(const BackupReader::Member&)> member, Progress& progress);
    ~Unpacking();
    Unpacking(const Unpacking&) = delete;
    Unpacking& operator=(const Unpacking&) = delete;

    void take(TarEntry entry, ContentSource& content);
    // After the last member; only then is all written, synced and free of doubles.
    void finish();

    std::uint64_t files() const;  // regular ones that were taken

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
