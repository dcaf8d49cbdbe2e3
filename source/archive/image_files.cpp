#include "archive/image_files.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

struct ArchiveDeleter {
    void operator()(archive* reader) const { archive_read_free(reader); }
};
using ArchivePointer = std::unique_ptr<archive, ArchiveDeleter>;

[[noreturn]] void refuse(const std::string& why) {
    throw Error(ErrorKind::image_refused, why);
}

std::string quoted(std::string_view name) {
    return fmt::format("'{}'", printable(name));
}

ArchivePointer open_tar(Bytes tar) {
    ArchivePointer reader(archive_read_new());
    if (!reader || archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
        archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
        refuse("the engine's answer is not a tar archive");
    }
    return reader;
}

[[noreturn]] void refuse_damaged(archive* reader) {
    const char* why = archive_error_string(reader);
    refuse("the engine's answer is a damaged tar archive: " +
           printable(why == nullptr ? "unknown reason" : why));
}

// The next member; null at the end.
archive_entry* next_member(archive* reader) {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(reader, &entry);
    if (result == ARCHIVE_EOF) {
        return nullptr;
    }
    // A warning means a name that is not text in this locale: the bytes are there all the same.
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        refuse_damaged(reader);
    }
    return entry;
}

std::string name_of(archive_entry* entry) {
    // Names from pax records are UTF-8, which the C locale cannot express as a plain string.
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) {
        name = archive_entry_pathname_utf8(entry);
    }
    if (name == nullptr || *name == '\0') {
        refuse("a member of the image's files has no readable name");
    }
    return name;
}

std::string_view type_word(archive_entry* entry) {
    switch (archive_entry_filetype(entry)) {
        case AE_IFLNK:
            return "a symbolic link";
        case AE_IFBLK:
        case AE_IFCHR:
            return "a device";
        case AE_IFIFO:
            return "a fifo";
        case AE_IFSOCK:
            return "a socket";
        default:
            return "of an unknown type";
    }
}

void check_path(const std::string& name) {
    if (name.front() == '/') {
        refuse("the image's file " + quoted(name) + " has an absolute path");
    }
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
        refuse("the image's file " + quoted(name) + " has a control character in its name");
    }
    for (const std::string& part : split(name, '/')) {
        if (part.empty() || part == "." || part == "..") {
            refuse("the image's file " + quoted(name) + " has '..', '.' or nothing in its path");
        }
    }
}

std::string content_of(archive* reader, const std::string& name, std::uint64_t limit) {
    std::string content;
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
        const int result = archive_read_data_block(reader, &block, &size, &offset);
        if (result == ARCHIVE_EOF) {
            return content;
        }
        if (result != ARCHIVE_OK) {
            refuse_damaged(reader);
        }
        const auto start = static_cast<std::uint64_t>(offset);
        if (start > limit || size > limit - start) {
            refuse("the image's file " + quoted(name) + " is larger than " + human_size(limit));
        }
        // Holes of sparse members are zeros.
        content.resize(static_cast<std::size_t>(start), '\0');
        content.append(static_cast<const char*>(block), size);
    }
}

bool is_set_id(archive_entry* entry) {
    return (archive_entry_perm(entry) & (S_ISUID | S_ISGID)) != 0;
}

void check_parents(const ImageFiles& files) {
    for (const auto& [name, file] : files) {
        for (std::size_t slash = name.find('/'); slash != std::string::npos;
             slash = name.find('/', slash + 1)) {
            if (files.contains(name.substr(0, slash))) {
                refuse("the image's file " + quoted(name) + " lies below a file");
            }
        }
    }
}

// Content of a sparse member may end in a hole.
void fill_to_size(std::string& content, archive_entry* entry, const std::string& name,
                  std::uint64_t limit) {
    const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
    if (size > limit) {
        refuse("the image's file " + quoted(name) + " is larger than " + human_size(limit));
    }
    content.resize(static_cast<std::size_t>(size), '\0');
}

// What a tar of these limits can need at most: content, and for each member its padding, header
// and a long name.
std::uint64_t most_tar_bytes(const ImageFilesLimits& limits) {
    constexpr std::uint64_t per_member = 8192;
    return limits.total_bytes + limits.files * per_member + (1U << 20U);
}

}  // namespace

struct ImageFilesReader::State {
    std::string root;
    ImageFilesLimits limits;
    std::vector<std::byte> tar;

    [[noreturn]] void refuse_size() const {
        refuse("the image's '/" + printable(root) + "' holds more than " +
               human_size(limits.total_bytes));
    }
};

ImageFilesReader::ImageFilesReader(std::string root, ImageFilesLimits limits)
    : state_(new State{std::move(root), limits, {}}) {}

ImageFilesReader::~ImageFilesReader() {
    delete state_;
}

void ImageFilesReader::write(Bytes tar) {
    if (state_->tar.size() + tar.size() > most_tar_bytes(state_->limits)) {
        state_->refuse_size();
    }
    state_->tar.insert(state_->tar.end(), tar.begin(), tar.end());
}

ImageFiles ImageFilesReader::finish() {
    const std::string& root = state_->root;
    const ImageFilesLimits& limits = state_->limits;
    const ArchivePointer reader = open_tar(state_->tar);
    ImageFiles files;
    std::set<std::string> seen;
    std::uint64_t total = 0;
    std::size_t members = 0;
    bool root_seen = false;
    while (archive_entry* entry = next_member(reader.get())) {
        std::string name = name_of(entry);
        if (++members > limits.files) {
            refuse("the image's '/" + printable(root) + "' holds more than " +
                   std::to_string(limits.files) + " files");
        }
        const bool directory = archive_entry_filetype(entry) == AE_IFDIR;
        const bool linked = archive_entry_hardlink(entry) != nullptr ||
                            archive_entry_hardlink_utf8(entry) != nullptr;
        if (directory && name.size() > 1 && name.back() == '/') {
            name.pop_back();
        }
        check_path(name);
        if (linked) {
            refuse("the image's file " + quoted(name) + " is a hard link");
        }
        if (!directory && archive_entry_filetype(entry) != AE_IFREG) {
            refuse("the image's file " + quoted(name) + " is " + std::string(type_word(entry)));
        }
        if (is_set_id(entry)) {
            refuse("the image's file " + quoted(name) + " has a set-id bit");
        }
        if (name == root) {
            if (!directory) {
                refuse("the image's '/" + printable(root) + "' is not a directory");
            }
            if (std::exchange(root_seen, true)) {
                refuse("the image's file " + quoted(name) + " is there twice");
            }
            continue;
        }
        if (!name.starts_with(root + "/")) {
            refuse("the image's file " + quoted(name) + " is outside of '" + printable(root) + "'");
        }
        if (!seen.insert(name).second) {
            refuse("the image's file " + quoted(name) + " is there twice");
        }
        if (directory) {
            continue;
        }
        const std::uint64_t left = limits.total_bytes - total;
        if (static_cast<std::uint64_t>(archive_entry_size(entry)) > left) {
            state_->refuse_size();
        }
        ImageFile file;
        file.content = content_of(reader.get(), name, left);
        fill_to_size(file.content, entry, name, left);
        file.mode = archive_entry_perm(entry);
        file.uid = static_cast<unsigned>(archive_entry_uid(entry));
        file.gid = static_cast<unsigned>(archive_entry_gid(entry));
        file.executable = (file.mode & 0111U) != 0;
        total += file.content.size();
        files.emplace(name.substr(root.size() + 1), std::move(file));
    }
    if (!root_seen) {
        refuse("the image has no directory '/" + printable(root) + "'");
    }
    check_parents(files);
    return files;
}

std::vector<MemberHead> leading_members(Bytes tar, std::size_t most) {
    std::vector<MemberHead> members;
    const ArchivePointer reader = open_tar(tar);
    archive_entry* entry = nullptr;
    while (members.size() < most) {
        const int result = archive_read_next_header(reader.get(), &entry);
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
            break;
        }
        MemberHead head;
        head.name = name_of(entry);
        switch (archive_entry_filetype(entry)) {
            case AE_IFREG:
                head.type = MemberHead::Type::regular;
                break;
            case AE_IFDIR:
                head.type = MemberHead::Type::directory;
                break;
            case AE_IFLNK:
                head.type = MemberHead::Type::symlink;
                break;
            default:
                break;
        }
        head.mode = archive_entry_perm(entry);
        head.uid = static_cast<unsigned>(archive_entry_uid(entry));
        head.gid = static_cast<unsigned>(archive_entry_gid(entry));
        members.push_back(std::move(head));
    }
    return members;
}

std::string single_file(Bytes tar, std::uint64_t limit) {
    const ArchivePointer reader = open_tar(tar);
    archive_entry* entry = next_member(reader.get());
    if (entry == nullptr) {
        refuse("the engine's answer holds no file");
    }
    const std::string name = name_of(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
        refuse("the image's " + quoted(name) + " is not a regular file");
    }
    std::string content = content_of(reader.get(), name, limit);
    fill_to_size(content, entry, name, limit);
    if (next_member(reader.get()) != nullptr) {
        refuse("the image's " + quoted(name) + " is more than one file");
    }
    return content;
}

}  // namespace drunner
