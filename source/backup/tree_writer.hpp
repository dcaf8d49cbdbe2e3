#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "backup/tree_sink.hpp"

namespace drunner {

// Writes one section of a backup below a directory that exists. Nothing is followed and nothing
// leaves the directory. Files are created by threads of its own. Throws Error(system or no_space)
// naming the file, Error(no_space) before the file system is full to its last block or entry,
// Error(archive_damaged) where something exists already.
class TreeWriter final : public TreeSink {
  public:
    // `root` is the entry of the directory itself.
    TreeWriter(const std::string& directory, TarEntry root);
    ~TreeWriter() override;
    TreeWriter(const TreeWriter&) = delete;
    TreeWriter& operator=(const TreeWriter&) = delete;

    void open_directory(const std::string& name, TarEntry entry) override;
    // Gives the innermost directory its mode and times; nothing more may come into it.
    void close_directory() override;

    void add(const std::string& name, TarEntry entry, ContentSource& source) override;
    // Another name of what stands there already: the entry says nothing new.
    void add_hard_link(const std::string& name, TarEntry entry, const std::string& target) override;

    // Closes what is open, waits until all is written, and syncs the file system.
    void finish() override;

    const std::vector<std::string>& warnings() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
