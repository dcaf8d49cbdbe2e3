#include "backup/direct_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "backup/direct_io.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

// What is written is synced and read again in such steps, while more of it comes.
constexpr std::uint64_t step_size = std::uint64_t{32} << 20U;

// XXH3 with 128 bits (https://github.com/Cyan4973/xxHash) of a stream: SHA-256 would cost a tenth
// of a whole backup.
class Sum {
  public:
    Sum() : state_(XXH3_createState()) {
        if (!state_) {
            throw std::bad_alloc();
        }
        XXH3_128bits_reset(state_.get());
    }
    void update(Bytes bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
    bool operator==(const Sum& other) const {
        return XXH128_isEqual(XXH3_128bits_digest(state_.get()),
                              XXH3_128bits_digest(other.state_.get())) != 0;
    }

  private:
    struct Deleter {
        void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    };
    std::unique_ptr<XXH3_state_t, Deleter> state_;
};

}  // namespace

struct DirectFile::State {
    const int fd;
    const std::string shown;
    DirectMode mode;
    std::uint64_t taken = 0;  // bytes that write() got
    Sum taken_sum;
    AlignedBlock filling;

    std::mutex mutex;
    std::condition_variable changed;
    AlignedBlock writing;        // the writer's while its size is not zero
    std::uint64_t position = 0;  // the file has all before it
    bool finished = false;       // nothing more comes, and it is synced to its end
    bool stopped = false;
    std::exception_ptr failure;

    AlignedBlock reading;  // these are the reader's
    std::uint64_t read = 0;
    Sum read_sum;

    std::thread writer;
    std::thread reader;

    State(int fd_of_caller, std::string path)
        : fd(fd_of_caller), shown(std::move(path)), mode(fd, shown) {
        writer = std::thread([this] { run([this] { write_blocks(); }); });
        reader = std::thread([this] { run([this] { read_again(); }); });
    }

    ~State() {
        {
            const std::lock_guard lock(mutex);
            stopped = true;
        }
        changed.notify_all();
        writer.join();
        reader.join();
    }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    template <class Work>
    void run(const Work& work) {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = failure ? failure : std::current_exception();
            stopped = true;
            changed.notify_all();
        }
    }

    void rethrow() const {
        if (failure) {
            std::rethrow_exception(failure);
        }
    }

    void write_blocks() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return stopped || writing.size > 0; });
            if (stopped) {
                return;
            }
            lock.unlock();
            write_block();
            lock.lock();
            position += writing.size;
            writing.size = 0;
            changed.notify_all();
        }
    }

    void write_block() {
        mode.write(writing.bytes(), position);
        if (!mode.is_on()) {
            // So that the next sync finds little left to do.
            sync_file_range(fd, static_cast<off_t>(position), static_cast<off_t>(writing.size),
                            SYNC_FILE_RANGE_WRITE);
        }
    }

    void hand_over() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return failure || writing.size == 0; });
        rethrow();
        std::swap(filling, writing);
        lock.unlock();
        changed.notify_all();
    }

    // Waits until all that was handed over is in the file.
    void drain() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return failure || writing.size == 0; });
        rethrow();
    }

    void read_again() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock,
                         [this] { return stopped || finished || position - read >= step_size; });
            if (stopped) {
                return;
            }
            const bool last = finished;
            const std::uint64_t end = last ? taken : position;
            lock.unlock();
            if (!last && fdatasync(fd) != 0) {
                throw cannot_write(errno);
            }
            read_step(end);
            lock.lock();
            if (last) {
                stopped = true;
                changed.notify_all();
                return;
            }
        }
    }

    void read_step(std::uint64_t end) {
        posix_fadvise(fd, static_cast<off_t>(read), static_cast<off_t>(end - read),
                      POSIX_FADV_DONTNEED);
        while (read < end) {
            check_cancellation();
            const std::size_t size = std::min<std::uint64_t>(AlignedBlock::capacity, end - read);
            read_block(size);
            read_sum.update(Bytes(reading.data(), size));
            read += size;
        }
    }

    void read_block(std::size_t wanted) {
        // Whole blocks are asked for: the end of the file answers less.
        for (std::size_t got = 0; got < wanted;) {
            const ssize_t part = pread(fd, reading.data() + got, AlignedBlock::capacity - got,
                                       static_cast<off_t>(read + got));
            if (part > 0) {
                got += static_cast<std::size_t>(part);
            } else if (part < 0 && errno == EINVAL && mode.is_on()) {
                mode.leave();
            } else if (part == 0 || errno != EINTR) {
                throw system_error(fmt::format("cannot read '{}' again", printable(shown)),
                                   part == 0 ? EIO : errno);
            }
        }
    }

    Error cannot_write(int error_number) const {
        return system_error(fmt::format("cannot write '{}'", printable(shown)), error_number);
    }
};

DirectFile::DirectFile(int fd, std::string shown)
    : state_(std::make_unique<State>(fd, std::move(shown))) {}

DirectFile::~DirectFile() = default;

void DirectFile::write(Bytes bytes) {
    state_->taken += bytes.size();
    state_->taken_sum.update(bytes);
    while (!bytes.empty()) {
        bytes = state_->filling.append(bytes);
        if (state_->filling.size == AlignedBlock::capacity) {
            state_->hand_over();
        }
    }
}

void DirectFile::finish() {
    State& state = *state_;
    state.filling.pad();
    state.hand_over();
    state.drain();
    if (ftruncate(state.fd, static_cast<off_t>(state.taken)) != 0 || fsync(state.fd) != 0) {
        throw state.cannot_write(errno);
    }
    std::unique_lock lock(state.mutex);
    state.finished = true;
    state.changed.notify_all();
    state.changed.wait(lock, [&state] { return state.stopped; });
    state.rethrow();
    if (!(state.read_sum == state.taken_sum)) {
        throw Error(ErrorKind::system,
                    fmt::format("'{}' does not read back as it was written: the disk or its "
                                "controller is failing",
                                printable(state.shown)));
    }
}

}  // namespace drunner
