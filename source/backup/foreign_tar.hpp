#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "backup/tar.hpp"
#include "core/bytes.hpp"

struct archive;

namespace drunner {

// A tar stream that some tar wrote (GNU, busybox, bsdtar: ustar, pax, GNU's long names and sparse
// files), by libarchive. Paths, and the targets of hard links, come out relative, without "." and
// empty parts; the archive's own root is "". Owners are numbers; of extended attributes only file
// capabilities come out.
// Throws Error(archive_refused) for absolute paths, paths with "..", and kinds of members that no
// volume has; Error(archive_damaged); and what the source throws.
class ForeignTar final : public ContentSource {
  public:
    // `shown` names the archive in messages.
    ForeignTar(ByteSource source, std::string shown);
    ~ForeignTar() override;
    ForeignTar(const ForeignTar&) = delete;
    ForeignTar& operator=(const ForeignTar&) = delete;

    // Passes over what is left of the member before. Empty at the archive's end, when the source
    // was read to its own: an archive that ends without its closing blocks is damaged.
    std::optional<TarEntry> next();

    Part content() override;

  private:
    struct Callbacks;

    void rethrow() const;
    [[noreturn]] void damaged(const std::string& why) const;
    [[noreturn]] void damaged_as_archive_says() const;
    std::string relative(const char* path) const;
    void finish();

    ByteSource source_;
    std::string shown_;
    std::vector<std::byte> buffer_;
    std::uint64_t read_bytes_ = 0;
    std::uint64_t header_end_ = 0;  // read_bytes_ that the current header must not pass
    std::exception_ptr failure_;
    std::unique_ptr<archive, int (*)(archive*)> archive_;
    std::uint64_t size_ = 0;      // of the current member's file
    std::uint64_t position_ = 0;  // where the content so far ends
    bool sparse_ = false;
    bool inside_ = false;  // a member
    bool ended_ = false;
};

}  // namespace drunner
