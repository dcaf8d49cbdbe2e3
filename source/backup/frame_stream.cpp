#define ZSTD_STATIC_LINKING_ONLY  // for ZSTD_getFrameHeader
#include "backup/frame_stream.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "archive/digest.hpp"
#include "backup/backup_stream.hpp"
#include "backup/growing_buffer.hpp"
#include "backup/ordered_pool.hpp"
#include "core/error.hpp"

namespace drunner {
namespace {

constexpr std::size_t input_size = std::size_t{256} * 1024;
constexpr std::size_t streamed_size = std::size_t{512} * 1024;
constexpr std::size_t most_frame_header = 18;
constexpr std::size_t block_header_size = 3;
constexpr unsigned workers_limit = 8;
constexpr std::size_t frames_ahead = 2;

[[noreturn]] void damaged(std::string_view why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
}

std::size_t checked(std::size_t result) {
    if (ZSTD_isError(result) != 0) {
        damaged(ZSTD_getErrorName(result));
    }
    return result;
}

std::uint32_t little_endian(Bytes bytes) {
    std::uint32_t number = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) {
        number = number << 8U | std::to_integer<std::uint32_t>(bytes[i - 1]);
    }
    return number;
}

struct DecoderDeleter {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using Decoder = std::unique_ptr<ZSTD_DCtx, DecoderDeleter>;

Decoder make_decoder() {
    Decoder decoder(ZSTD_createDCtx());
    if (!decoder) {
        throw Error(ErrorKind::system, "cannot decompress: no memory");
    }
    return decoder;
}

// The compressed bytes, and the sum of those that were used.
class Input {
  public:
    explicit Input(ByteSource source) : source_(std::move(source)), buffer_(input_size) {}

    // At least `size` bytes (at most 256 KiB) without using them; less at the end.
    Bytes peek(std::size_t size) {
        if (end_ - start_ < size) {
            std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(start_),
                      buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
            end_ -= start_;
            start_ = 0;
            while (end_ < size) {
                const std::size_t got = source_(std::span(buffer_).subspan(end_));
                if (got == 0) {
                    break;
                }
                end_ += got;
            }
        }
        return Bytes(buffer_).subspan(start_, end_ - start_);
    }

    void use(std::size_t size) {
        sum_.update(Bytes(buffer_).subspan(start_, size));
        start_ += size;
    }

    // Uses `size` bytes; `take` gets them in parts.
    template <class Take>
    void use(std::uint64_t size, const Take& take) {
        while (size > 0) {
            const Bytes ahead = peek(1);
            if (ahead.empty()) {
                damaged("it is truncated");
            }
            const Bytes part = ahead.first(std::min<std::uint64_t>(size, ahead.size()));
            take(part);
            use(part.size());
            size -= part.size();
        }
    }

    std::string sum() const { return sum_.hex_so_far(); }

  private:
    ByteSource source_;
    std::vector<std::byte> buffer_;
    std::size_t start_ = 0;
    std::size_t end_ = 0;
    Sha256 sum_;
};

struct Job {
    GrowingBuffer bytes;  // a whole frame, or content already
    bool decoded = false;
    std::size_t content_size = 0;
};

// Cuts the input into jobs.
class FrameCutter {
  public:
    FrameCutter(ByteSource source, bool require_trailer, SpareBuffers& frames,
                SpareBuffers& contents)
        : input_(std::move(source)),
          require_trailer_(require_trailer),
          frames_(frames),
          contents_(contents) {}

    std::optional<Job> next() {
        while (true) {
            if (streaming_) {
                return stream();
            }
            const Bytes start = input_.peek(trailer_size);
            if (start.empty()) {
                if (require_trailer_) {
                    throw Error(ErrorKind::archive_damaged,
                                "the backup is damaged: it is truncated, its trailer is missing",
                                "where stock tools compressed it again, give --no-trailer");
                }
                return std::nullopt;
            }
            const std::uint32_t magic = start.size() < 4 ? 0 : little_endian(start.first(4));
            if (magic == trailer_magic) {
                check_trailer(start);
                return std::nullopt;
            }
            if ((magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START &&
                start.size() >= 8) {
                const std::uint32_t size = little_endian(start.subspan(4, 4));
                input_.use(std::uint64_t{8} + size, [](Bytes) {});
            } else if (magic == ZSTD_MAGICNUMBER) {
                if (std::optional<Job> job = whole_frame()) {
                    return job;
                }
            } else {
                damaged(started_ ? "something else follows its frames" : "it is no backup at all");
            }
            started_ = true;
        }
    }

  private:
    void check_trailer(Bytes start) {
        std::string sum;
        for (const std::byte byte : start.subspan(std::min<std::size_t>(8, start.size()))
                                        .first(start.size() < trailer_size ? 0 : 32)) {
            sum += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
        }
        if (start.size() < trailer_size || little_endian(start.subspan(4, 4)) != 32 ||
            sum != input_.sum()) {
            damaged("its trailer does not fit");
        }
        input_.use(trailer_size);
        if (!input_.peek(1).empty()) {
            damaged("something follows its trailer");
        }
    }

    // The frame at the input's start; empty where its size is unknown or large, so that it is to be
    // streamed.
    std::optional<Job> whole_frame() {
        const Bytes start = input_.peek(most_frame_header);
        ZSTD_frameHeader header{};
        if (checked(ZSTD_getFrameHeader(&header, start.data(), start.size())) != 0) {
            damaged("it is truncated");
        }
        if (header.frameContentSize == ZSTD_CONTENTSIZE_UNKNOWN ||
            header.frameContentSize > frame_limit) {
            streaming_ = make_decoder();
            return std::nullopt;
        }
        Job job;
        job.bytes = frames_.take();
        job.content_size = header.frameContentSize;
        const auto take = [&job](Bytes part) { job.bytes.append(part); };
        job.bytes.reserve(job.content_size / 2 + input_size);
        input_.use(header.headerSize, take);
        const std::size_t limit = ZSTD_compressBound(job.content_size) + input_size;
        for (bool last = false; !last;) {
            const Bytes ahead = input_.peek(block_header_size);
            if (ahead.size() < block_header_size) {
                damaged("it is truncated");
            }
            const std::uint32_t block = little_endian(ahead.first(block_header_size));
            last = (block & 1U) != 0;
            const bool repeated = (block >> 1U & 3U) == 1;
            input_.use(block_header_size + (repeated ? 1 : block >> 3U), take);
            if (job.bytes.size() > limit) {
                damaged("a frame is too long");
            }
        }
        input_.use(header.checksumFlag != 0 ? 4 : 0, take);
        return job;
    }

    // A part of the frame's content; the frame's end sets streaming_ free.
    Job stream() {
        Job job;
        job.bytes = contents_.take();
        job.decoded = true;
        ZSTD_outBuffer output{job.bytes.reserve(streamed_size), streamed_size, 0};
        while (output.pos < output.size) {
            const Bytes ahead = input_.peek(1);
            ZSTD_inBuffer input{ahead.data(), ahead.size(), 0};
            const std::size_t before = output.pos;
            const std::size_t hint =
                checked(ZSTD_decompressStream(streaming_.get(), &output, &input));
            input_.use(input.pos);
            if (hint == 0) {
                streaming_.reset();
                break;
            }
            if (ahead.empty() && output.pos == before) {
                damaged("it is truncated");
            }
        }
        job.bytes.commit(output.pos);
        return job;
    }

    Input input_;
    bool require_trailer_;
    SpareBuffers& frames_;
    SpareBuffers& contents_;
    bool started_ = false;
    Decoder streaming_;
};

}  // namespace

struct FrameStream::State {
    // Frames and contents are apart: they differ in size.
    SpareBuffers frames;
    SpareBuffers contents;
    FrameCutter cutter;
    std::vector<Decoder> decoders;
    std::unique_ptr<OrderedPool<Job, GrowingBuffer>> pool;
    GrowingBuffer current;
    bool ended = false;

    State(ByteSource source, bool require_trailer)
        : cutter(std::move(source), require_trailer, frames, contents) {}
};

FrameStream::FrameStream(ByteSource source, bool require_trailer)
    : state_(std::make_unique<State>(std::move(source), require_trailer)) {
    const unsigned workers = std::clamp(std::thread::hardware_concurrency(), 1U, workers_limit);
    for (unsigned i = 0; i < workers; ++i) {
        state_->decoders.push_back(make_decoder());
    }
    State& state = *state_;
    state.pool = std::make_unique<OrderedPool<Job, GrowingBuffer>>(
        workers, frames_ahead, std::size_t{workers} + 2, [&state] { return state.cutter.next(); },
        [&state](unsigned worker, Job job) {
            if (job.decoded) {
                return std::move(job.bytes);
            }
            GrowingBuffer content = state.contents.take();
            const Bytes frame = job.bytes.bytes();
            const std::size_t size = checked(ZSTD_decompressDCtx(
                state.decoders[worker].get(), content.reserve(job.content_size + 1),
                job.content_size, frame.data(), frame.size()));
            if (size != job.content_size) {
                damaged("a frame is shorter than it says");
            }
            content.commit(size);
            state.frames.give(std::move(job.bytes));
            return content;
        });
}

FrameStream::~FrameStream() {
    // The threads use the rest of the state until they have ended.
    state_->pool.reset();
}

Bytes FrameStream::next() {
    while (!state_->ended) {
        std::optional<GrowingBuffer> content = state_->pool->next();
        if (!content) {
            state_->ended = true;
            break;
        }
        state_->contents.give(std::exchange(state_->current, std::move(*content)));
        if (state_->current.size() > 0) {
            return state_->current.bytes();
        }
    }
    return {};
}

}  // namespace drunner
