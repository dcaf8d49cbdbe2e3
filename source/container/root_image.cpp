#include "container/root_image.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "archive/digest.hpp"
#include "backup/member_reader.hpp"
#include "backup/tree_walk.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr off_t large_file = 1 << 20;
constexpr std::uint64_t piece = 1U << 20U;

// The tar of a directory, a piece at a time.
class DirectoryTar {
  public:
    explicit DirectoryTar(const std::string& directory) : walk_(directory, ".", "/", {}) {}

    std::size_t read(std::span<std::byte> buffer) {
        while (position_ == tar_.size() && !ended_) {
            tar_.truncate(0);
            position_ = 0;
            fill();
        }
        const std::size_t length = std::min(buffer.size(), tar_.size() - position_);
        std::memcpy(buffer.data(), tar_.bytes().data() + position_, length);
        position_ += length;
        digest_.update(Bytes(buffer).first(length));
        return length;
    }
    std::string digest() { return digest_.hex(); }

  private:
    void fill() {
        check_cancellation();
        if (large_) {
            const std::uint64_t size = stored_size(large_->entry);
            const std::uint64_t next = std::min(piece, size - done_);
            append_content(*large_, done_, next, pread, tar_, notes_);
            done_ += next;
            if (done_ == size) {
                large_.reset();
            }
            return;
        }
        std::optional<FoundEntry> found = walk_.next();
        if (!found) {
            const std::string ending = tar_ending();
            tar_.append(as_bytes(ending));
            ended_ = true;
        } else if (S_ISREG(found->status.st_mode) && found->hard_link.empty() &&
                   found->status.st_size > large_file) {
            done_ = 0;
            large_ = open_large_file(std::move(*found));
            if (large_) {
                append_header(*large_, tar_, notes_);
                if (stored_size(large_->entry) == 0) {
                    large_.reset();
                }
            }
        } else {
            append_member(std::move(*found), pread, tar_, notes_);
        }
    }

    TreeWalk walk_;
    GrowingBuffer tar_;
    std::size_t position_ = 0;
    ReadNotes notes_;
    std::shared_ptr<const LargeFile> large_;
    std::uint64_t done_ = 0;
    bool ended_ = false;
    Sha256 digest_;
};

std::string digest_of(const std::string& directory) {
    DirectoryTar tar(directory);
    std::vector<std::byte> buffer(piece);
    while (tar.read(buffer) > 0) {
    }
    return tar.digest();
}

}  // namespace

RootImage import_root(Engine& engine, const std::string& directory) {
    if (file_type(directory) != FileType::directory) {
        throw Error(ErrorKind::usage, "the root '" + printable(directory) + "' is no directory");
    }
    const std::string digest = digest_of(directory);
    RootImage root{std::string(root_repository) + ":" + digest, false};
    if (engine.find_image(root.reference)) {
        return root;
    }
    DirectoryTar tar(directory);
    engine.import_image([&](std::span<std::byte> buffer) { return tar.read(buffer); },
                        root_repository, digest);
    root.made = true;
    if (tar.digest() != digest) {
        engine.remove_image(root.reference);
        throw Error(ErrorKind::in_use,
                    "the root '" + printable(directory) + "' changes while it is read");
    }
    return root;
}

}  // namespace drunner
