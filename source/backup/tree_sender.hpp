#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/backup_file.hpp"
#include "backup/tree_sink.hpp"

namespace drunner {

// Sends one section of a backup to a container engine, as the tar of a directory. Throws what the
// stream's call throws.
class TreeSender final : public TreeSink {
  public:
    // `root` is the entry of the directory itself.
    TreeSender(const VolumeStream& stream, TarEntry root);
    ~TreeSender() override;

    void open_directory(const std::string& name, TarEntry entry) override;
    void close_directory() override;
    void add(const std::string& name, TarEntry entry, ContentSource& source) override;
    void add_hard_link(const std::string& name, TarEntry entry, const std::string& target) override;
    void finish() override;
    // None: the engine leaves out silently what a file system does not take.
    const std::vector<std::string>& warnings() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
