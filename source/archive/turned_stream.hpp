#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "core/bytes.hpp"

namespace drunner {

// What one call pushes, to be pulled by another: the call runs on a thread of its own, a quarter of
// a megabyte ahead at most.
class PulledStream {
  public:
    explicit PulledStream(std::function<void(const ByteSink&)> push);
    // The call ends at its next push.
    ~PulledStream();
    PulledStream(const PulledStream&) = delete;
    PulledStream& operator=(const PulledStream&) = delete;

    // 0 when the call has returned. Throws what it threw.
    std::size_t read(std::span<std::byte> buffer);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// What one call pulls, to be pushed by another.
class PushedStream {
  public:
    explicit PushedStream(std::function<void(const ByteSource&)> pull);
    // Without finish() the source of the call throws Error(interrupted) where the stream ends.
    ~PushedStream();
    PushedStream(const PushedStream&) = delete;
    PushedStream& operator=(const PushedStream&) = delete;

    // Throws what the call threw, and Error(system) where it returned before the stream's end.
    void write(Bytes bytes);
    // The end: waits until the call has returned. Throws the same.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
