#include "backup/tree_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "backup/direct_io.hpp"
#include "backup/member_reader.hpp"
#include "backup/room.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// More threads gain nothing. As far as both have enough to do each has its own directories, because
// two in one wait for each other.
constexpr std::size_t writer_count = 2;
// What waits for a thread, in bytes and in number (each may hold a directory open). It takes all of
// it at once, so that twice as much can be there.
constexpr std::size_t queue_bytes = std::size_t{2} << 20U;
constexpr std::size_t queue_length = 96;
// Larger files are written as they come.
constexpr std::uint64_t queued_file_limit = std::uint64_t{1} << 20U;
constexpr std::size_t open_levels = 64;
constexpr std::size_t pending_links = 128;
constexpr std::size_t most_warnings = 20;
// What is written is synced in such steps, while more is written.
constexpr std::uint64_t sync_step = std::uint64_t{64} << 20U;
// Writes from this size on leave no copy in memory, where the kernel can do that: the memory that
// it would fill is slow to get. Smaller ones are cheaper in one go.
constexpr std::size_t forgotten_size = std::size_t{64} * 1024;
// RWF_DONTCACHE of Linux 6.14 (include/uapi/linux/fs.h).
constexpr int write_and_forget = 0x80;
// What an entry takes beside its content: a block, about.
constexpr std::uint64_t entry_overhead = 4096;

// A directory that is filled. Its attributes come last, because everything that is created in it
// changes its times.
struct NewDirectory {
    FileDescriptor fd;  // invalid while it is closed to save it
    TarEntry entry;     // without its path, which would add up
    std::size_t path_size = 0;
    dev_t device = 0;
    ino_t inode = 0;
    std::size_t writer = 0;                // whose files these are; only the caller's thread asks
    std::atomic<std::size_t> expected{1};  // files that are not written yet, and its own end
};
using Directory = std::shared_ptr<NewDirectory>;

Error cannot_write(const std::string& path, int error_number) {
    return system_error(fmt::format("cannot write '{}'", printable(path)), error_number);
}

Error twice(const std::string& path) {
    return Error(ErrorKind::archive_damaged,
                 fmt::format("the backup is damaged: '{}' is there twice", printable(path)));
}

void require_created(int result, const std::string& path) {
    if (result < 0) {
        throw errno == EEXIST ? twice(path) : cannot_write(path, errno);
    }
}

void require(int result, const std::string& path) {
    if (result != 0) {
        throw cannot_write(path, errno);
    }
}

std::array<timespec, 2> times_of(const TarEntry& entry) {
    timespec time{};
    time.tv_sec = entry.mtime_seconds;
    time.tv_nsec = static_cast<long>(entry.mtime_nanoseconds);
    return {time, time};
}

void write_at(int fd, Bytes bytes, std::uint64_t offset, const std::string& path) {
    int flags = bytes.size() < forgotten_size ? 0 : write_and_forget;
    while (!bytes.empty()) {
        const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
        const ssize_t written = pwritev2(fd, &part, 1, static_cast<off_t>(offset), flags);
        if (written < 0) {
            if (errno == EOPNOTSUPP && flags != 0) {
                flags = 0;
                continue;
            }
            if (errno == EINTR) {
                continue;
            }
            throw cannot_write(path, errno);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
}

// Opens what lies below the directory; no part of its path may lead out of it or be a link.
FileDescriptor open_confined(int directory, const std::string& path, std::uint64_t flags,
                             std::uint64_t mode = 0) {
    open_how how{};
    how.flags = flags | O_NOFOLLOW | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return FileDescriptor(
        static_cast<int>(syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how)));
}

// What has no openat2: the name of an entry, which must be no more than that.
void require_name(const std::string& name, const std::string& path) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        throw Error(
            ErrorKind::archive_damaged,
            fmt::format("the backup is damaged: '{}' is no path for a backup", printable(path)));
    }
}

// Opens a directory below `root` that may have any depth.
FileDescriptor open_beneath(int root, std::string_view path, const std::string& shown) {
    constexpr std::size_t most_at_once = 4000;
    FileDescriptor directory(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) {
        throw cannot_write(shown, errno);
    }
    while (!path.empty()) {
        std::size_t end = path.size();
        if (end > most_at_once) {
            end = path.rfind('/', most_at_once);
        }
        const std::string part(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
        FileDescriptor next = open_confined(directory.get(), part, O_RDONLY | O_DIRECTORY);
        if (!next.valid()) {
            throw Error(ErrorKind::archive_damaged,
                        fmt::format("the backup is damaged: '{}' links to what is not there",
                                    printable(shown)));
        }
        directory = std::move(next);
    }
    return directory;
}

// Sets owner, mode, attributes and times. Chown clears set-id bits and capabilities, so it comes
// first; an access ACL sets the group's bits as the mode has them. What is right already is not set
// again: to ask costs a tenth of it.
class Attributes {
  public:
    void apply(int fd, const TarEntry& entry) {
        struct stat status {};
        require(fstat(fd, &status), entry.path);
        const bool owned = status.st_uid == entry.uid && status.st_gid == entry.gid;
        if (!owned) {
            require(fchown(fd, entry.uid, entry.gid), entry.path);
        }
        const bool kept = owned || (status.st_mode & 06000U) == 0;
        if (!kept || (status.st_mode & 07777U) != entry.mode) {
            require(fchmod(fd, entry.mode), entry.path);
        }
        for (const auto& [name, value] : entry.attributes) {
            note(fsetxattr(fd, name.c_str(), value.data(), value.size(), 0), name, entry);
        }
        require(futimens(fd, times_of(entry).data()), entry.path);
    }

    // For what cannot be opened.
    void apply(const NewDirectory& directory, const std::string& name, const TarEntry& entry) {
        const int fd = directory.fd.get();
        struct stat status {};
        require(fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), entry.path);
        if (status.st_uid != entry.uid || status.st_gid != entry.gid) {
            require(fchownat(fd, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW),
                    entry.path);
        }
        if (entry.type != TarType::symlink) {
            require(fchmodat(fd, name.c_str(), entry.mode, 0), entry.path);
        }
        const std::string path = fmt::format("/proc/self/fd/{}/{}", fd, name);
        for (const auto& [key, value] : entry.attributes) {
            note(lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0), key, entry);
        }
        require(utimensat(fd, name.c_str(), times_of(entry).data(), AT_SYMLINK_NOFOLLOW),
                entry.path);
    }

    std::vector<std::string> warnings;

  private:
    void note(int result, const std::string& name, const TarEntry& entry) {
        if (result == 0) {
            return;
        }
        if (errno == EINVAL || errno == ERANGE || errno == E2BIG) {
            throw Error(ErrorKind::archive_damaged,
                        fmt::format("the backup is damaged: '{}' of '{}' is malformed",
                                    printable(name), printable(entry.path)));
        }
        if (errno != ENOTSUP && errno != EPERM) {
            throw cannot_write(entry.path, errno);
        }
        const std::lock_guard lock(mutex_);
        if (warnings.size() < most_warnings) {
            warnings.push_back(fmt::format("this file system does not keep '{}' of '{}'",
                                           printable(name), printable(entry.path)));
        }
    }

    std::mutex mutex_;
};

struct Task {
    Directory directory;
    std::string name;
    TarEntry entry;
    GrowingBuffer content;

    std::size_t size() const {
        std::size_t sum = content.size();
        for (const auto& [attribute, value] : entry.attributes) {
            sum += attribute.size() + value.size();
        }
        return sum;
    }
};

// With the mode that it is to have, as far as the thread's umask allows, but nothing for the group
// that a stranger's file has at first.
FileDescriptor create_file_in(const NewDirectory& directory, const std::string& name,
                              const TarEntry& entry) {
    static const gid_t own_group = getegid();
    const mode_t bits = entry.gid == own_group ? 0777U : 0707U;
    FileDescriptor fd =
        open_confined(directory.fd.get(), name, O_WRONLY | O_CREAT | O_EXCL, entry.mode & bits);
    require_created(fd.get(), entry.path);
    return fd;
}

// Syncs the file system again and again. Left to itself the kernel keeps all of it in memory, and
// the disk has nothing to do until the sync at the end.
class Syncer {
  public:
    // The descriptor must outlive this object.
    explicit Syncer(int directory) : directory_(directory), thread_([this] { run(); }) {}

    ~Syncer() { stop(); }
    Syncer(const Syncer&) = delete;
    Syncer& operator=(const Syncer&) = delete;

    void wrote(std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        unsynced_ += bytes + entry_overhead;
        if (unsynced_ >= sync_step) {
            changed_.notify_one();
        }
    }

    // After the last entry: syncs what is left.
    void finish() {
        stop();
        if (error_ == 0 && syncfs(directory_) != 0) {
            error_ = errno;
        }
        if (error_ != 0) {
            throw cannot_write("the restored files", error_);
        }
    }

  private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return stopped_ || unsynced_ >= sync_step; });
            if (stopped_) {
                return;
            }
            unsynced_ = 0;
            lock.unlock();
            const int error = syncfs(directory_) == 0 ? 0 : errno;
            lock.lock();
            if (error != 0) {
                // A descriptor is told of an error once: a sync that comes later would succeed.
                error_ = error;
                return;
            }
        }
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_one();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    const int directory_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t unsynced_ = 0;
    bool stopped_ = false;
    int error_ = 0;
    std::thread thread_;
};

// The threads that create files, and what waits for each of them.
class Writers {
  public:
    Writers(Attributes& attributes, Room& room, Syncer& syncer)
        : attributes_(attributes), room_(room), syncer_(syncer) {
        try {
            for (Queue& queue : queues_) {
                queue.thread = std::thread([this, &queue] { run(queue); });
            }
        } catch (...) {
            stop();
            throw;
        }
    }

    ~Writers() { stop(); }
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;

    // A directory stays with its thread until that has enough to do and another has not.
    void push(Task task) {
        NewDirectory& directory = *task.directory;
        ++directory.expected;
        std::unique_lock lock(mutex_);
        taken_.wait(lock, [&] { return failure_ || find_room(directory.writer); });
        rethrow();
        Queue& queue = queues_[directory.writer];
        queue.bytes += task.size();
        queue.tasks.push_back(std::move(task));
        const bool first = queue.tasks.size() == 1;
        lock.unlock();
        if (first) {
            queue.filled.notify_one();
        }
    }

    // Waits until all is written.
    void drain() {
        std::unique_lock lock(mutex_);
        taken_.wait(lock, [this] {
            return failure_ || std::ranges::all_of(queues_, [](const Queue& queue) {
                       return queue.tasks.empty() && !queue.working;
                   });
        });
        rethrow();
    }

    // One of what was expected in the directory is there.
    void complete_one(NewDirectory& directory) {
        if (--directory.expected == 0) {
            attributes_.apply(directory.fd.get(), directory.entry);
        }
    }

  private:
    struct Queue {
        std::condition_variable filled;
        std::vector<Task> tasks;
        std::size_t bytes = 0;
        bool working = false;
        std::thread thread;

        bool has_room() const { return tasks.size() < queue_length && bytes < queue_bytes; }
    };

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        for (Queue& queue : queues_) {
            queue.filled.notify_one();
            if (queue.thread.joinable()) {
                queue.thread.join();
            }
        }
    }

    // A thread that has room, best the one that is given.
    bool find_room(std::size_t& writer) const {
        for (std::size_t other = 0; other < writer_count; ++other) {
            const std::size_t index = (writer + other) % writer_count;
            if (queues_[index].has_room()) {
                writer = index;
                return true;
            }
        }
        return false;
    }

    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

    void run(Queue& queue) {
        // Its own umask, so that files are created with their modes.
        if (unshare(CLONE_FS) == 0) {
            umask(0);
        }
        std::unique_lock lock(mutex_);
        while (true) {
            queue.filled.wait(lock, [&] { return stopped_ || !queue.tasks.empty(); });
            if (stopped_) {
                return;
            }
            // All at once: to wake each other for every file would cost more than some files do.
            std::vector<Task> batch = std::exchange(queue.tasks, {});
            queue.bytes = 0;
            queue.working = true;
            lock.unlock();
            taken_.notify_one();
            std::exception_ptr failure;
            try {
                for (Task& task : batch) {
                    perform(task);
                    task = {};
                }
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            queue.working = false;
            failure_ = failure_ ? failure_ : failure;
            taken_.notify_one();
            if (failure) {
                return;
            }
        }
    }

    void perform(const Task& task) {
        NewDirectory& directory = *task.directory;
        const int parent = directory.fd.get();
        const TarEntry& entry = task.entry;
        room_.spend(task.content.size());
        if (entry.type == TarType::symlink) {
            require_created(symlinkat(entry.target.c_str(), parent, task.name.c_str()), entry.path);
            attributes_.apply(directory, task.name, entry);
        } else if (entry.type == TarType::fifo) {
            require_created(mkfifoat(parent, task.name.c_str(), 0600), entry.path);
            attributes_.apply(directory, task.name, entry);
        } else {
            const FileDescriptor fd = create_file_in(directory, task.name, entry);
            write_at(fd.get(), task.content.bytes(), 0, entry.path);
            attributes_.apply(fd.get(), entry);
        }
        syncer_.wrote(task.content.size());
        complete_one(directory);
    }

    Attributes& attributes_;
    Room& room_;
    Syncer& syncer_;
    std::mutex mutex_;
    std::condition_variable taken_;  // only the caller's thread waits for it
    std::array<Queue, writer_count> queues_;
    bool stopped_ = false;
    std::exception_ptr failure_;
};

}  // namespace

struct TreeWriter::State {
    struct Link {
        std::string target;
        Directory directory;
        std::string name;
        std::string shown;
    };

    FileDescriptor root;
    Attributes attributes;
    Room room;
    std::unique_ptr<Syncer> syncer;
    std::unique_ptr<Writers> writers;
    std::string path;  // of the innermost directory
    std::vector<Directory> levels;
    std::vector<Link> links;
    std::size_t directories = 0;

    void push_level(FileDescriptor fd, TarEntry entry) {
        struct stat status {};
        require(fstat(fd.get(), &status), entry.path);
        if (levels.size() >= open_levels) {
            close_to_save(*levels[levels.size() - open_levels]);
        }
        path = std::exchange(entry.path, {});
        auto level = std::make_shared<NewDirectory>();
        level->fd = std::move(fd);
        level->entry = std::move(entry);
        level->path_size = path.size();
        level->device = status.st_dev;
        level->inode = status.st_ino;
        level->writer = directories++ % writer_count;
        levels.push_back(std::move(level));
    }

    void close_to_save(NewDirectory& level) {
        if (level.fd.valid()) {
            // Neither a link nor a file that waits for a thread may need it any more.
            make_links();
            level.fd.reset();
        }
    }

    void open_again(NewDirectory& level, const NewDirectory& child) {
        FileDescriptor fd(openat(child.fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat status {};
        if (!fd.valid() || fstat(fd.get(), &status) != 0) {
            throw cannot_write(path, errno);
        }
        if (status.st_dev != level.device || status.st_ino != level.inode) {
            throw Error(ErrorKind::in_use, fmt::format("'{}' was moved while it was written",
                                                       printable(child.entry.path)));
        }
        level.fd = std::move(fd);
    }

    void write_large(FileDescriptor fd, const TarEntry& entry, ContentSource& source) {
        std::uint64_t cached = 0;
        if (entry.sparse) {
            for (auto part = source.content(); !part.bytes.empty(); part = source.content()) {
                room.spend(part.bytes.size());
                write_at(fd.get(), part.bytes, part.offset, entry.path);
                cached += part.bytes.size();
            }
            require(ftruncate(fd.get(), static_cast<off_t>(entry.size)), entry.path);
        } else {
            DirectWriter writer(fd.get(), entry.path);
            for (auto part = source.content(); !part.bytes.empty(); part = source.content()) {
                room.spend(part.bytes.size());
                writer.write(part.bytes);
            }
            writer.finish();
        }
        attributes.apply(fd.get(), entry);
        syncer->wrote(cached);
    }

    // Links need what they link to, which may still be waiting for a thread.
    void make_links() {
        writers->drain();
        for (const Link& link : links) {
            const std::size_t slash = link.target.rfind('/');
            const bool nested = slash != std::string::npos;
            const FileDescriptor parent = open_beneath(
                root.get(), nested ? std::string_view(link.target).substr(0, slash) : "",
                link.shown);
            const std::string name = nested ? link.target.substr(slash + 1) : link.target;
            if (linkat(parent.get(), name.c_str(), link.directory->fd.get(), link.name.c_str(),
                       0) != 0) {
                if (errno == ENOENT || errno == EPERM) {
                    throw Error(
                        ErrorKind::archive_damaged,
                        fmt::format("the backup is damaged: '{}' links to what is not there",
                                    printable(link.shown)));
                }
                throw errno == EEXIST ? twice(link.shown) : cannot_write(link.shown, errno);
            }
        }
        links.clear();
    }
};

TreeWriter::TreeWriter(const std::string& directory, TarEntry root)
    : state_(std::make_unique<State>()) {
    state_->root.reset(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    FileDescriptor fd(fcntl(state_->root.get(), F_DUPFD_CLOEXEC, 0));
    if (!state_->root.valid() || !fd.valid()) {
        throw cannot_write(directory, errno);
    }
    state_->room.watch(state_->root.get(), directory);
    state_->syncer = std::make_unique<Syncer>(state_->root.get());
    state_->writers = std::make_unique<Writers>(state_->attributes, state_->room, *state_->syncer);
    state_->push_level(std::move(fd), std::move(root));
}

TreeWriter::~TreeWriter() = default;

void TreeWriter::open_directory(const std::string& name, TarEntry entry) {
    const int parent = state_->levels.back()->fd.get();
    require_name(name, entry.path);
    state_->room.spend(0);
    require_created(mkdirat(parent, name.c_str(), 0700), entry.path);
    FileDescriptor fd = open_confined(parent, name, O_RDONLY | O_DIRECTORY);
    if (!fd.valid()) {
        throw cannot_write(entry.path, errno);
    }
    state_->push_level(std::move(fd), std::move(entry));
}

void TreeWriter::close_directory() {
    if (!state_->links.empty()) {
        state_->make_links();
    }
    const Directory level = std::move(state_->levels.back());
    state_->levels.pop_back();
    level->entry.path = state_->path;
    state_->path.resize(state_->levels.empty() ? 0 : state_->levels.back()->path_size);
    if (!state_->levels.empty() && !state_->levels.back()->fd.valid()) {
        state_->open_again(*state_->levels.back(), *level);
    }
    state_->writers->complete_one(*level);
}

void TreeWriter::add(const std::string& name, TarEntry entry, ContentSource& source) {
    const Directory& directory = state_->levels.back();
    require_name(name, entry.path);
    if (entry.type == TarType::file && (entry.sparse || entry.size > queued_file_limit)) {
        state_->room.spend(0);
        state_->write_large(create_file_in(*directory, name, entry), entry, source);
        return;
    }
    Task task{directory, name, std::move(entry), {}};
    task.content.reserve(task.entry.type == TarType::file ? task.entry.size : 0);
    for (auto part = source.content(); !part.bytes.empty(); part = source.content()) {
        task.content.append(part.bytes);
    }
    state_->writers->push(std::move(task));
}

void TreeWriter::add_hard_link(const std::string& name, TarEntry, const std::string& target) {
    const std::string path = state_->path + "/" + name;
    require_name(name, path);
    state_->room.spend(0);
    state_->links.push_back({target, state_->levels.back(), name, path});
    if (state_->links.size() >= pending_links) {
        state_->make_links();
    }
}

void TreeWriter::finish() {
    while (!state_->levels.empty()) {
        close_directory();
    }
    state_->writers->drain();
    state_->syncer->finish();
}

const std::vector<std::string>& TreeWriter::warnings() const {
    return state_->attributes.warnings;
}

}  // namespace drunner
