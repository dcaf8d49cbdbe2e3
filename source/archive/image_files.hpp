#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/bytes.hpp"

namespace drunner {

// Files of a stranger's image, held in memory until they have been judged.
struct ImageFile {
    std::string content;
    bool executable = false;
    // As the image has them; the copies on the host have drunner's own.
    unsigned mode = 0644;  // permission bits
    unsigned uid = 0;
    unsigned gid = 0;
};

// Relative path with '/' -> file; directories exist only as parts of paths.
using ImageFiles = std::map<std::string, ImageFile>;

struct ImageFilesLimits {
    std::uint64_t total_bytes = 64ULL << 20U;
    std::size_t files = 10'000;
};

// Collects the members of the tar that the engine's archive endpoint streams for a directory
// (`root` is its last part, "drunner"). Feed it with write(), then take finish().
//
// Refused with Error(image_refused), each naming the member: symbolic and hard links, devices,
// fifos, sockets, set-id bits, absolute or dotted ("..") paths, control characters in names,
// duplicate members, a root that is not a directory, more than the limits. Nothing is ever
// created on disk here.
class ImageFilesReader {
  public:
    explicit ImageFilesReader(std::string root, ImageFilesLimits limits = {});
    ~ImageFilesReader();
    ImageFilesReader(const ImageFilesReader&) = delete;
    ImageFilesReader& operator=(const ImageFilesReader&) = delete;

    void write(Bytes tar);
    ImageFiles finish();

  private:
    struct State;
    State* state_;
};

// What the headers of a tar say of a member; no content.
struct MemberHead {
    enum class Type { regular, directory, symlink, other };

    std::string name;
    Type type = Type::other;
    unsigned mode = 0;  // permission bits
    unsigned uid = 0;
    unsigned gid = 0;
};

// The first members, at most `most`, of a tar whose end may be missing.
std::vector<MemberHead> leading_members(Bytes tar, std::size_t most);

// The one regular file of an archive-endpoint stream (/etc/passwd, say), at most `limit` bytes.
// Throws Error(image_refused) where it is not one regular file.
std::string single_file(Bytes tar, std::uint64_t limit);

}  // namespace drunner
