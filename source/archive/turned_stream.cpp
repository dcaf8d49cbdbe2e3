#include "archive/turned_stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.hpp"

namespace drunner {
namespace {

constexpr std::size_t room = std::size_t{256} * 1024;

// Bytes on their way from one thread to another. Either side may leave for good.
class Pipe {
  public:
    // False where the reader has left.
    bool write(Bytes bytes) {
        while (!bytes.empty()) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return size_ < room || reader_left_; });
            if (reader_left_) {
                return false;
            }
            const std::size_t end = (begin_ + size_) % room;
            const std::size_t part = std::min({bytes.size(), room - size_, room - end});
            std::memcpy(buffer_.data() + end, bytes.data(), part);
            size_ += part;
            bytes = bytes.subspan(part);
            changed_.notify_all();
        }
        return true;
    }

    // 0 where the writer has left and nothing is there any more.
    std::size_t read(std::span<std::byte> buffer) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return size_ > 0 || writer_left_; });
        const std::size_t part = std::min({buffer.size(), size_, room - begin_});
        std::memcpy(buffer.data(), buffer_.data() + begin_, part);
        begin_ = (begin_ + part) % room;
        size_ -= part;
        end_was_read_ = part == 0;
        changed_.notify_all();
        return part;
    }

    void leave_as_writer() { leave(writer_left_); }
    void leave_as_reader() { leave(reader_left_); }
    // To be asked when the reader has left.
    bool end_was_read() const { return end_was_read_; }

  private:
    void leave(bool& left) {
        const std::lock_guard lock(mutex_);
        left = true;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(room);
    std::size_t begin_ = 0;
    std::size_t size_ = 0;
    bool writer_left_ = false;
    bool reader_left_ = false;
    bool end_was_read_ = false;
};

}  // namespace

struct PulledStream::State {
    explicit State(std::function<void(const ByteSink&)> push)
        : thread([this, call = std::move(push)] {
              try {
                  call([this](Bytes bytes) {
                      if (!pipe.write(bytes)) {
                          throw Error(ErrorKind::interrupted, "nobody reads on");
                      }
                  });
              } catch (...) {
                  thrown = std::current_exception();
              }
              pipe.leave_as_writer();
          }) {}

    Pipe pipe;
    std::exception_ptr thrown;  // read when the writer has left
    std::thread thread;
};

PulledStream::PulledStream(std::function<void(const ByteSink&)> push)
    : state_(std::make_unique<State>(std::move(push))) {}

PulledStream::~PulledStream() {
    state_->pipe.leave_as_reader();
    state_->thread.join();
}

std::size_t PulledStream::read(std::span<std::byte> buffer) {
    const std::size_t got = state_->pipe.read(buffer);
    if (got == 0 && state_->thrown) {
        std::rethrow_exception(state_->thrown);
    }
    return got;
}

struct PushedStream::State {
    explicit State(std::function<void(const ByteSource&)> pull)
        : thread([this, call = std::move(pull)] {
              try {
                  call([this](std::span<std::byte> buffer) {
                      const std::size_t got = pipe.read(buffer);
                      if (got == 0 && !complete) {
                          throw Error(ErrorKind::interrupted, "the stream was given up");
                      }
                      return got;
                  });
              } catch (...) {
                  thrown = std::current_exception();
              }
              pipe.leave_as_reader();
          }) {}

    // To be called when the reader has left, or is about to.
    void end() {
        if (thread.joinable()) {
            thread.join();
        }
        if (thrown) {
            std::rethrow_exception(thrown);
        }
        if (!pipe.end_was_read()) {
            throw Error(ErrorKind::system, "a stream was not taken to its end");
        }
    }

    Pipe pipe;
    bool complete = false;      // written before the writer leaves
    std::exception_ptr thrown;  // read when the thread is over
    std::thread thread;
};

PushedStream::PushedStream(std::function<void(const ByteSource&)> pull)
    : state_(std::make_unique<State>(std::move(pull))) {}

PushedStream::~PushedStream() {
    state_->pipe.leave_as_writer();
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
}

void PushedStream::write(Bytes bytes) {
    if (!state_->pipe.write(bytes)) {
        state_->end();
    }
}

void PushedStream::finish() {
    state_->complete = true;
    state_->pipe.leave_as_writer();
    state_->end();
}

}  // namespace drunner
