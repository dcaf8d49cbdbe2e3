#pragma once

#include <memory>

#include "core/bytes.hpp"

namespace drunner {

// The content of zstd frames, one after the other. Frames that say how large their content is are
// decoded side by side; what any other zstd wrote is decoded too, one block after the other.
class FrameStream {
  public:
    // The source is called by threads of this object, one at a time.
    FrameStream(ByteSource source, bool require_trailer);
    ~FrameStream();
    FrameStream(const FrameStream&) = delete;
    FrameStream& operator=(const FrameStream&) = delete;

    // The next bytes, good until the next call; none at the end, which is only answered when the
    // trailer was right. Throws Error(archive_damaged), and what the source throws.
    Bytes next();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace drunner
