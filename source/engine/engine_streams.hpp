#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.hpp"
#include "core/image_reference.hpp"
#include "core/progress.hpp"
#include "engine/engine.hpp"

namespace drunner {

// What the engine streams, taken in parts that end anywhere.

// Parts stdout from stderr in a container's log: frames of an 8-byte header (stream, three zeros,
// length as a big-endian number) and that many bytes.
class LogFrames {
  public:
    // Both sinks must outlive this object.
    LogFrames(const ByteSink& out, const ByteSink& err) : out_(out), err_(err) {}

    void write(Bytes bytes);
    // False in the middle of a frame.
    bool complete() const { return left_ == 0 && header_size_ == 0; }

  private:
    const ByteSink& out_;
    const ByteSink& err_;
    std::array<std::byte, 8> header_{};
    std::size_t header_size_ = 0;
    std::uint32_t left_ = 0;
};

// Follows the messages of a pull: one JSON document a line. Throws pull_error(reference, ...) for
// an error among them, and for what is no stream of messages.
class PullMessages {
  public:
    // Reference and progress must outlive this object.
    PullMessages(const ImageReference& reference, bool with_credentials, Progress& progress);

    void write(Bytes bytes);
    // Throws where no message said that the pull was complete: an engine that dies in an orderly
    // way ends the stream as if it were whole.
    void finish();

  private:
    struct Layer {
        std::uint64_t done = 0;
        std::uint64_t total = 0;
    };

    void take(std::string_view line);
    void show(const std::string& id, const std::string& status, const Layer& downloaded);

    const ImageReference& reference_;
    bool with_credentials_;
    Activity activity_;
    std::map<std::string, Layer> layers_;
    std::string pending_;
    bool complete_ = false;
};

// Parts a stream into lines, the line ends taken off.
class Lines {
  public:
    // Throws Error(engine_refused) for a line that is longer than a megabyte.
    void write(Bytes bytes, const std::function<void(std::string_view line)>& sink);

  private:
    std::string pending_;
};

// The event that a line of GET /events tells; empty for what is no container's.
std::optional<ContainerEvent> container_event(std::string_view line);

// Sees whether a tar ended as one does: with two blocks of zeros. Where reading fails in the
// middle, the engine only stops writing, or writes its error behind what it sent.
class TarEnd {
  public:
    void write(Bytes bytes);
    bool complete() const;

  private:
    std::uint64_t zeros_ = 0;
    std::uint64_t size_ = 0;
};

}  // namespace drunner
