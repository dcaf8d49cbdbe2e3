#include "fakes/tar.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner::test {
namespace {

struct ArchiveDeleter {
    void operator()(archive* a) const { archive_free(a); }
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using ArchivePointer = std::unique_ptr<archive, ArchiveDeleter>;
using EntryPointer = std::unique_ptr<archive_entry, ArchiveDeleter>;

}  // namespace

std::string normalised(std::string_view path) {
    std::string result;
    for (const std::string& part : split(path, '/')) {
        if (!part.empty() && part != ".") {
            result += "/" + part;
        }
    }
    return result.empty() ? "/" : result;
}

std::string packed(const FakeFiles& files) {
    std::string tar;
    const ArchivePointer writer(archive_write_new());
    archive_write_set_format_pax_restricted(writer.get());
    archive_write_set_bytes_in_last_block(writer.get(), 1);
    archive_write_open(
        writer.get(), &tar, nullptr,
        [](archive*, void* text, const void* bytes, size_t size) {
            static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), size);
            return static_cast<la_ssize_t>(size);
        },
        nullptr);
    for (const auto& [name, file] : files) {
        const EntryPointer entry(archive_entry_new());
        const bool is_directory = file.type == FakeFile::Type::directory;
        archive_entry_set_pathname(entry.get(), (is_directory ? name + "/" : name).c_str());
        archive_entry_set_perm(entry.get(), file.mode);
        archive_entry_set_uid(entry.get(), file.uid);
        archive_entry_set_gid(entry.get(), file.gid);
        archive_entry_set_mtime(entry.get(), 1'600'000'000, 0);
        archive_entry_set_filetype(entry.get(), is_directory ? AE_IFDIR : AE_IFREG);
        if (file.type == FakeFile::Type::symlink) {
            archive_entry_set_filetype(entry.get(), AE_IFLNK);
            archive_entry_set_symlink(entry.get(), file.content.c_str());
        } else {
            archive_entry_set_size(entry.get(), static_cast<la_int64_t>(file.content.size()));
        }
        archive_write_header(writer.get(), entry.get());
        if (file.type == FakeFile::Type::regular) {
            archive_write_data(writer.get(), file.content.data(), file.content.size());
        }
    }
    archive_write_close(writer.get());
    return tar;
}

std::vector<std::pair<std::string, FakeFile>> members_of(const std::string& tar) {
    std::vector<std::pair<std::string, FakeFile>> members;
    const ArchivePointer reader(archive_read_new());
    archive_read_support_format_tar(reader.get());
    if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
        throw Error(ErrorKind::engine_refused, "the archive cannot be read");
    }
    archive_entry* entry = nullptr;
    while (true) {
        const int result = archive_read_next_header(reader.get(), &entry);
        if (result == ARCHIVE_EOF) {
            return members;
        }
        if (result < ARCHIVE_WARN) {
            throw Error(ErrorKind::engine_refused, "the archive cannot be read");
        }
        FakeFile file;
        file.mode = archive_entry_perm(entry);
        file.uid = static_cast<uid_t>(archive_entry_uid(entry));
        file.gid = static_cast<gid_t>(archive_entry_gid(entry));
        const std::string name = archive_entry_pathname(entry);
        if (const char* link = archive_entry_hardlink(entry)) {
            const auto target = std::find_if(
                members.begin(), members.end(),
                [&](const auto& member) { return normalised(member.first) == normalised(link); });
            if (target == members.end()) {
                throw Error(ErrorKind::engine_refused, "a hard link names nothing");
            }
            file = target->second;
        } else if (archive_entry_filetype(entry) == AE_IFDIR) {
            file.type = FakeFile::Type::directory;
        } else if (archive_entry_filetype(entry) == AE_IFLNK) {
            file.type = FakeFile::Type::symlink;
            file.content = archive_entry_symlink(entry);
        } else {
            file.content.resize(static_cast<std::size_t>(archive_entry_size(entry)));
            const auto read =
                archive_read_data(reader.get(), file.content.data(), file.content.size());
            if (read != static_cast<la_ssize_t>(file.content.size())) {
                throw Error(ErrorKind::engine_refused, "unexpected EOF");
            }
        }
        members.emplace_back(name, std::move(file));
    }
}

FakeFiles unpacked(const std::string& tar) {
    FakeFiles files;
    for (auto& [name, file] : members_of(tar)) {
        files[normalised(name).substr(1)] = std::move(file);
    }
    return files;
}

}  // namespace drunner::test
