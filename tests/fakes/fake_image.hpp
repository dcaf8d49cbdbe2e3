#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace drunner::test {

struct FakeFile {
    enum class Type { regular, directory, symlink };

    std::string content;  // the target of a symbolic link
    mode_t mode = 0644;
    uid_t uid = 0;
    gid_t gid = 0;
    Type type = Type::regular;
};

inline FakeFile fake_directory(uid_t uid, gid_t gid, mode_t mode = 0755) {
    return {"", mode, uid, gid, FakeFile::Type::directory};
}

// Absolute path -> file. Directories that are only parts of paths are root's, 0755.
using FakeFiles = std::map<std::string, FakeFile>;

struct FakeImage {
    FakeFiles files;
    std::string user;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> environment;
    std::vector<std::string> volumes;
    std::map<std::string, std::string> labels;
    bool has_healthcheck = false;
};

// "sha256:" and 64 digits that depend on the text: for ids and digests of fakes, not a hash that
// would withstand anybody.
std::string fake_digest(std::string_view text);

// Equal images have equal ids.
std::string fake_image_id(const FakeImage& image);

}  // namespace drunner::test
