#pragma once

#include <unistd.h>

#include <string>
#include <vector>

#include "backup/old_backup.hpp"
#include "backup_fixture.hpp"
#include "core/error.hpp"
#include "fakes/tar_text.hpp"

namespace drunner::test {

// Backups of the old tool whose archives are not packed, so that no test needs 7z.
inline ByteSource not_packed(int file, const std::string&) {
    return [file, at = off_t{0}](std::span<std::byte> buffer) mutable {
        const ssize_t got = pread(file, buffer.data(), buffer.size(), at);
        if (got < 0) {
            throw system_error("cannot read the test's archive", errno);
        }
        at += got;
        return static_cast<std::size_t>(got);
    };
}

inline std::string old_root() {
    return tar_member({.name = "./", .type = '5', .mode = 0755});
}

inline std::string old_variables_member(const std::string& text,
                                        const std::string& name = "_oldvariables") {
    return tar_member({.name = "./" + name, .content = text});
}

// The archive of a volume, as a member.
inline std::string old_volume(const std::string& name, const std::string& members) {
    return tar_member({.name = "./drbackup/" + name + ".tar.7z", .content = members + tar_end()});
}

// A whole backup with the volume "drunner-blog-data" that holds these members.
inline std::string old_backup_of(const std::string& volume_members) {
    return old_root() +
           old_variables_member("OLDDOCKERVOLS=(\"drunner-blog-data\")\nIMAGENAME=\"blog\"\n") +
           tar_member({.name = "./drbackup/", .type = '5', .mode = 0755}) +
           old_volume("drunner-blog-data", volume_members) +
           tar_member({.name = "./containerbackup/", .type = '5', .mode = 0777}) +
           tar_member({.name = "./containerbackup/dump", .content = "dumped"}) + tar_end();
}

}  // namespace drunner::test
