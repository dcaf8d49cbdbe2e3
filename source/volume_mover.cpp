// A program of its own, linked statically: what drunner runs in a container beside a volume whose
// data it cannot reach itself (operation/volume_helper). It needs nothing of the container's image.
//
//   volume-mover aside NAME DIRECTORY...   what is in each DIRECTORY goes into DIRECTORY/NAME
//   volume-mover back NAME DIRECTORY...    and comes back, in place of all that came since
//   volume-mover drop NAME DIRECTORY...    DIRECTORY/NAME is removed
//   volume-mover clear NAME DIRECTORY...   all that is in DIRECTORY is removed
//
// It may be killed at any moment. As long as DIRECTORY/NAME.part stands, what is in there and what
// is beside it together are the old data; from the moment when DIRECTORY/NAME stands, all of it is
// in there. `back`, `drop` and `clear` may be run again, and where there is nothing to do. Says
// what is wrong on stderr and exits with 1.

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    fprintf(stderr, "cannot %s '%s': %s\n", what.c_str(), path.c_str(), strerror(errno));
    exit(1);
}

bool exists(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0) {
        return true;
    }
    if (errno != ENOENT) {
        fail("look at", path);
    }
    return false;
}

std::vector<std::string> entries_of(const std::string& directory) {
    DIR* const stream = opendir(directory.c_str());
    if (stream == nullptr) {
        fail("read", directory);
    }
    std::vector<std::string> names;
    while (const dirent* entry = readdir(stream)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") {
            names.push_back(name);
        }
    }
    closedir(stream);
    return names;
}

void remove_tree(std::string path) {
    std::array<char*, 2> roots{path.data(), nullptr};
    FTS* const walk = fts_open(roots.data(), FTS_PHYSICAL | FTS_XDEV, nullptr);
    if (walk == nullptr) {
        fail("read", path);
    }
    while (FTSENT* const entry = fts_read(walk)) {
        if (entry->fts_info == FTS_D) {
            continue;
        }
        const bool is_directory = entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR;
        if (unlinkat(AT_FDCWD, entry->fts_accpath, is_directory ? AT_REMOVEDIR : 0) != 0) {
            fail("remove", entry->fts_path);
        }
    }
    fts_close(walk);
}

void move_all(const std::string& from, const std::string& to, const std::string& kept) {
    for (const std::string& name : entries_of(from)) {
        const std::string path = from + "/" + name;
        if (path != kept && rename(path.c_str(), (to + "/" + name).c_str()) != 0) {
            fail("move", path);
        }
    }
}

void remove_all(const std::string& directory, const std::string& kept) {
    for (const std::string& name : entries_of(directory)) {
        const std::string path = directory + "/" + name;
        if (path != kept) {
            remove_tree(path);
        }
    }
}

std::vector<std::string> attributes_of(const std::string& path) {
    std::vector<std::string> names;
    std::string text(XATTR_LIST_MAX, '\0');
    const ssize_t size = llistxattr(path.c_str(), text.data(), text.size());
    for (std::size_t begin = 0; size > 0 && begin < static_cast<std::size_t>(size);) {
        names.emplace_back(text.c_str() + begin);
        begin += names.back().size() + 1;
    }
    return names;
}

// What a file system does not let go stays: it is not of what was there before.
void strip(const std::string& path) {
    for (const std::string& name : attributes_of(path)) {
        lremovexattr(path.c_str(), name.c_str());
    }
}

struct stat look_at(const std::string& path) {
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) {
        fail("look at", path);
    }
    return status;
}

// Owner, mode and attributes.
void copy_nature(const std::string& from, const std::string& to) {
    const struct stat status = look_at(from);
    if (lchown(to.c_str(), status.st_uid, status.st_gid) != 0 ||
        chmod(to.c_str(), status.st_mode & 07777U) != 0) {
        fail("change the owner and mode of", to);
    }
    strip(to);
    for (const std::string& name : attributes_of(from)) {
        std::string value(XATTR_SIZE_MAX, '\0');
        const ssize_t size = lgetxattr(from.c_str(), name.c_str(), value.data(), value.size());
        if (size >= 0) {
            lsetxattr(to.c_str(), name.c_str(), value.data(), static_cast<std::size_t>(size), 0);
        }
    }
}

void set_times(const std::string& path, const struct stat& status) {
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
        fail("set the times of", path);
    }
}

void sync_all(const std::string& directory) {
    const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0) {
        fail("sync", directory);
    }
    close(fd);
}

void set_aside(const std::string& directory, const std::string& name) {
    const std::string whole = directory + "/" + name;
    const std::string part = whole + ".part";
    const struct stat before = look_at(directory);
    if (mkdir(part.c_str(), 0700) != 0) {
        fail("make", part);
    }
    copy_nature(directory, part);
    move_all(directory, part, part);
    strip(directory);
    set_times(part, before);  // which each move has changed
    sync_all(directory);
    if (rename(part.c_str(), whole.c_str()) != 0) {
        fail("move", part);
    }
    sync_all(directory);
}

void put_back(const std::string& directory, const std::string& name) {
    const std::string whole = directory + "/" + name;
    const std::string part = whole + ".part";
    if (exists(whole)) {
        remove_all(directory, whole);
        if (rename(whole.c_str(), part.c_str()) != 0) {
            fail("move", whole);
        }
    }
    if (!exists(part)) {
        return;
    }
    const struct stat before = look_at(part);
    move_all(part, directory, {});
    copy_nature(part, directory);
    if (rmdir(part.c_str()) != 0) {
        fail("remove", part);
    }
    set_times(directory, before);
    sync_all(directory);
}

void drop(const std::string& directory, const std::string& name) {
    // What stands in the place of the old data must be on the disk before that goes.
    sync_all(directory);
    const struct stat before = look_at(directory);
    if (exists(directory + "/" + name)) {
        remove_tree(directory + "/" + name);
        set_times(directory, before);
    }
}

void clear(const std::string& directory, const std::string&) {
    remove_all(directory, {});
    strip(directory);
}

struct Verb {
    const char* word;
    void (*perform)(const std::string& directory, const std::string& name);
};
constexpr std::array verbs{Verb{"aside", set_aside}, Verb{"back", put_back}, Verb{"drop", drop},
                           Verb{"clear", clear}};

}  // namespace

int main(int count, char** words) {
    if (count < 4) {
        fputs("usage: volume-mover VERB NAME DIRECTORY...\n", stderr);
        return 1;
    }
    for (const Verb& verb : verbs) {
        if (words[1] != std::string(verb.word)) {
            continue;
        }
        for (int i = 3; i < count; ++i) {
            verb.perform(words[i], words[2]);
        }
        return 0;
    }
    fprintf(stderr, "there is no '%s'\n", words[1]);
    return 1;
}
