#include "archive/directory_entry.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <memory>

#include "core/error.hpp"

namespace drunner {

std::string directory_entry_tar(const std::string& name, unsigned uid, unsigned gid,
                                unsigned mode) {
    const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(),
                                                             archive_write_free);
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                         archive_entry_free);
    archive_entry_set_pathname(entry.get(), (name + "/").c_str());
    archive_entry_set_filetype(entry.get(), AE_IFDIR);
    archive_entry_set_perm(entry.get(), mode);
    archive_entry_set_uid(entry.get(), uid);
    archive_entry_set_gid(entry.get(), gid);
    std::array<char, 65536> buffer{};
    std::size_t used = 0;
    archive_write_set_format_pax_restricted(writer.get());
    if (archive_write_open_memory(writer.get(), buffer.data(), buffer.size(), &used) !=
            ARCHIVE_OK ||
        archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK ||
        archive_write_close(writer.get()) != ARCHIVE_OK) {
        throw Error(ErrorKind::system, "cannot write a tar for the directory '" + name + "'");
    }
    return {buffer.data(), used};
}

}  // namespace drunner
