#include "backup/tree_sender.hpp"

#include <array>
#include <utility>

#include "archive/turned_stream.hpp"
#include "backup/tar.hpp"

namespace drunner {

struct TreeSender::State {
    explicit State(const VolumeStream& stream)
        : root(stream.root), path(stream.root), pushed(stream.write) {}

    void send(TarEntry entry, std::string at) {
        entry.path = std::move(at);
        entry.sparse = false;
        pushed.write(as_bytes(encode_tar_header(entry, AclRecords::attributes)));
    }

    const std::string root;
    std::string path;  // of the innermost directory
    const std::vector<std::string> warnings;
    PushedStream pushed;
};

TreeSender::TreeSender(const VolumeStream& stream, TarEntry root)
    : state_(std::make_unique<State>(stream)) {
    state_->send(std::move(root), state_->root);
}

TreeSender::~TreeSender() = default;

void TreeSender::open_directory(const std::string& name, TarEntry entry) {
    state_->path += "/" + name;
    state_->send(std::move(entry), state_->path);
}

void TreeSender::close_directory() {
    const std::size_t slash = state_->path.rfind('/');
    state_->path.resize(slash == std::string::npos ? 0 : slash);
}

void TreeSender::add(const std::string& name, TarEntry entry, ContentSource& source) {
    const std::uint64_t size = entry.type == TarType::file ? entry.size : 0;
    state_->send(std::move(entry), state_->path + "/" + name);
    WholeContent content(source, size);
    for (Bytes bytes = content.next(); !bytes.empty(); bytes = content.next()) {
        state_->pushed.write(bytes);
    }
    constexpr std::array<std::byte, tar_block> zeros{};
    state_->pushed.write(Bytes(zeros).first(tar_padding(size)));
}

void TreeSender::add_hard_link(const std::string& name, TarEntry entry, const std::string& target) {
    entry.target = state_->root + "/" + target;
    state_->send(std::move(entry), state_->path + "/" + name);
}

void TreeSender::finish() {
    state_->pushed.write(as_bytes(tar_ending()));
    state_->pushed.finish();
}

const std::vector<std::string>& TreeSender::warnings() const {
    return state_->warnings;
}

}  // namespace drunner
