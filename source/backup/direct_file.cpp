#include "backup/direct_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "archive/digest.hpp"
#include "backup/ordered_pool.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

// Every disk takes multiples of it, at such addresses.
constexpr std::size_t alignment = 4096;
constexpr std::size_t block_size = std::size_t{1} << 20U;
constexpr unsigned readers = 2;
constexpr std::size_t blocks_ahead = 3;

struct FreeDeleter {
    void operator()(std::byte* memory) const { std::free(memory); }
};

class AlignedBlock {
  public:
    AlignedBlock() : data_(static_cast<std::byte*>(std::aligned_alloc(alignment, block_size))) {
        if (!data_) {
            throw std::bad_alloc();
        }
    }

    // As much of the bytes as there is room for; answers the rest.
    Bytes append(Bytes bytes) {
        const std::size_t part = std::min(bytes.size(), block_size - size);
        std::memcpy(data_.get() + size, bytes.data(), part);
        size += part;
        return bytes.subspan(part);
    }
    void pad() {
        const std::size_t padded = (size + alignment - 1) / alignment * alignment;
        std::memset(data_.get() + size, 0, padded - size);
        size = padded;
    }
    std::byte* data() { return data_.get(); }

    std::size_t size = 0;

  private:
    std::unique_ptr<std::byte, FreeDeleter> data_;
};

}  // namespace

struct DirectFile::State {
    const int fd;
    const std::string shown;
    std::atomic<bool> direct = false;
    std::uint64_t taken = 0;  // bytes that write() got
    AlignedBlock filling;

    std::mutex mutex;
    std::condition_variable changed;
    AlignedBlock writing;  // the thread's while its size is not zero
    std::uint64_t position = 0;
    bool ended = false;
    std::exception_ptr failure;
    std::thread thread;

    State(int fd_of_caller, std::string path) : fd(fd_of_caller), shown(std::move(path)) {
        const int flags = fcntl(fd, F_GETFL);
        direct = fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
        thread = std::thread([this] { write_blocks(); });
    }

    ~State() { end(); }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void end() {
        {
            const std::lock_guard lock(mutex);
            ended = true;
        }
        changed.notify_all();
        if (thread.joinable()) {
            thread.join();
        }
    }

    void leave_direct() {
        direct = false;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT);
    }

    void write_blocks() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return ended || writing.size > 0; });
            if (writing.size == 0) {
                return;
            }
            lock.unlock();
            std::exception_ptr thrown;
            try {
                write_block();
            } catch (...) {
                thrown = std::current_exception();
            }
            lock.lock();
            writing.size = 0;
            failure = thrown;
            changed.notify_all();
            if (failure) {
                return;
            }
        }
    }

    void write_block() {
        std::size_t done = 0;
        while (done < writing.size) {
            const ssize_t written = pwrite(fd, writing.data() + done, writing.size - done,
                                           static_cast<off_t>(position + done));
            if (written >= 0) {
                done += static_cast<std::size_t>(written);
            } else if (errno == EINVAL && direct) {
                leave_direct();
            } else if (errno != EINTR) {
                throw cannot_write(errno);
            }
        }
        if (!direct) {
            // So that the sync at the end finds little left to do.
            sync_file_range(fd, static_cast<off_t>(position), static_cast<off_t>(done),
                            SYNC_FILE_RANGE_WRITE);
        }
        position += done;
    }

    void hand_over() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return failure || writing.size == 0; });
        if (failure) {
            std::rethrow_exception(failure);
        }
        std::swap(filling, writing);
        lock.unlock();
        changed.notify_all();
    }

    std::size_t read_block(AlignedBlock& block, std::uint64_t offset) {
        const std::size_t wanted = std::min<std::uint64_t>(block_size, taken - offset);
        // Whole blocks are asked for: the end of the file answers less.
        for (block.size = 0; block.size < wanted;) {
            const ssize_t got = pread(fd, block.data() + block.size, block_size - block.size,
                                      static_cast<off_t>(offset + block.size));
            if (got > 0) {
                block.size += static_cast<std::size_t>(got);
            } else if (got < 0 && errno == EINVAL && direct) {
                leave_direct();
            } else if (got == 0 || errno != EINTR) {
                throw system_error(fmt::format("cannot read '{}' again", printable(shown)),
                                   got == 0 ? EIO : errno);
            }
        }
        return wanted;
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
    while (!bytes.empty()) {
        bytes = state_->filling.append(bytes);
        if (state_->filling.size == block_size) {
            state_->hand_over();
        }
    }
}

void DirectFile::finish() {
    State& state = *state_;
    state.filling.pad();
    state.hand_over();
    state.end();
    if (state.failure) {
        std::rethrow_exception(state.failure);
    }
    if (ftruncate(state.fd, static_cast<off_t>(state.taken)) != 0 || fsync(state.fd) != 0) {
        throw state.cannot_write(errno);
    }
}

std::string DirectFile::read_again() {
    State& state = *state_;
    posix_fadvise(state.fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(state.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    // A block is free again when the one after it is asked for.
    std::array<AlignedBlock, blocks_ahead + 1> blocks;
    std::uint64_t asked = 0;
    const auto block_of = [&](std::uint64_t offset) -> AlignedBlock& {
        return blocks[offset / block_size % blocks.size()];
    };
    OrderedPool<std::uint64_t, Bytes> pool(
        readers, 1, blocks_ahead,
        [&]() -> std::optional<std::uint64_t> {
            return asked < state.taken ? std::optional(std::exchange(asked, asked + block_size))
                                       : std::nullopt;
        },
        [&](unsigned, std::uint64_t offset) {
            AlignedBlock& block = block_of(offset);
            return Bytes(block.data(), state.read_block(block, offset));
        });
    Sha256 sum;
    while (const auto bytes = pool.next()) {
        check_cancellation();
        sum.update(*bytes);
    }
    return sum.hex();
}

}  // namespace drunner
