#include <fmt/format.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "archive/digest.hpp"
#include "backup/age.hpp"
#include "backup/age_key.hpp"
#include "backup/backup_header.hpp"
#include "backup/backup_stream.hpp"
#include "backup/ordered_pool.hpp"
#include "backup/read_ahead.hpp"
#include "backup/streamed_tree.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"

namespace drunner {
namespace {

// With smaller pieces the file passes 3 % over what zstd makes of it in one; larger ones cost
// memory.
constexpr std::uint64_t piece_size = std::uint64_t{2} << 20U;
// What a member takes beside its content: header, pax header and its records.
constexpr std::uint64_t member_estimate = 3 * tar_block;
// Directories and files that all pieces together may hold open; a process has 1024 at least.
constexpr std::size_t open_files = 512;
// Pieces whose files are known, and asked of the disk, before a worker takes them.
constexpr std::size_t pieces_ahead = 4;

// A run of members, or a part of a large one: what becomes one frame.
struct Piece {
    std::string text_path;  // of a file of drunner's own
    std::string text;
    std::vector<FoundEntry> entries;
    std::optional<StreamedTree::Part> streamed;
    std::shared_ptr<const LargeFile> large;
    std::uint64_t position = 0;  // in the large file's stored bytes
    std::uint64_t size = 0;
};

struct Section {
    std::string directory;
    std::string member;
    std::string container_path;
    std::vector<std::string> excludes;
    const BackupVolume* streamed = nullptr;  // in place of the directory
};

// Cuts the whole backup, but for its closing member, into pieces.
class PieceMaker {
  public:
    PieceMaker(const BackupJob& job, std::size_t most_pieces)
        : open_limit_(std::max<std::size_t>(8, open_files / most_pieces)),
          header_(to_json(job.header)) {
        const auto add = [&](const std::string& directory, std::string_view member) {
            if (!directory.empty()) {
                sections_.push_back({directory, std::string(member), {}, {}});
            }
        };
        add(job.scripts_directory, scripts_member);
        add(job.hook_directory, hook_member);
        for (std::size_t i = 0; i < job.header.volumes.size(); ++i) {
            const BackupVolume& volume = job.header.volumes[i];
            sections_.push_back({volume.source, volume_member(i), volume.path, job.header.excludes,
                                 volume.stream ? &volume : nullptr});
        }
    }

    std::optional<Piece> next() {
        if (!header_.empty()) {
            Piece piece;
            piece.text_path = header_member;
            piece.text = std::exchange(header_, {});
            return piece;
        }
        if (large_) {
            return next_of_large();
        }
        while (true) {
            if (streamed_) {
                if (auto part = streamed_->next(piece_size)) {
                    Piece piece;
                    piece.streamed = std::move(part);
                    return piece;
                }
                streamed_.reset();
            }
            std::optional<Piece> piece = next_of_trees();
            if (piece || !streamed_) {
                return piece;
            }
        }
    }

    std::vector<std::string> vanished;
    std::vector<std::string> sockets;

  private:
    // Empty at the end, and where a streamed volume comes next.
    std::optional<Piece> next_of_trees() {
        Piece piece;
        std::uint64_t estimate = 0;
        const OpenDirectory* directory = nullptr;
        std::size_t opened = 0;
        while (estimate < piece_size && opened < open_limit_) {
            if (!ahead_ && !(ahead_ = next_entry())) {
                break;
            }
            const std::uint64_t size = content_size(*ahead_);
            if (!piece.entries.empty() && estimate + size > piece_size) {
                break;
            }
            if (size > piece_size) {
                const std::string path = ahead_->path();
                large_ = open_large_file(std::move(*std::exchange(ahead_, std::nullopt)));
                if (!large_) {
                    vanished.push_back(path);
                    continue;
                }
                position_ = 0;
                return next_of_large();
            }
            opened += ahead_->opened.valid() || ahead_->directory.get() != directory ? 1 : 0;
            directory = ahead_->directory.get();
            estimate += size + member_estimate;
            read_ahead_.want(*ahead_);
            piece.entries.push_back(std::move(*std::exchange(ahead_, std::nullopt)));
        }
        return piece.entries.empty() ? std::nullopt : std::optional(std::move(piece));
    }

    static std::uint64_t content_size(const FoundEntry& entry) {
        const bool content = S_ISREG(entry.status.st_mode) && entry.hard_link.empty();
        return content ? static_cast<std::uint64_t>(entry.status.st_size) : 0;
    }

    std::optional<FoundEntry> next_entry() {
        while (true) {
            if (!walk_) {
                if (sections_.empty()) {
                    return std::nullopt;
                }
                const Section section = std::move(sections_.front());
                sections_.pop_front();
                if (section.streamed != nullptr) {
                    streamed_.emplace(*section.streamed->stream, section.member, *section.streamed,
                                      section.excludes);
                    return std::nullopt;
                }
                walk_.emplace(section.directory, section.member, section.container_path,
                              section.excludes);
            }
            if (auto entry = walk_->next()) {
                return entry;
            }
            std::move(walk_->vanished.begin(), walk_->vanished.end(), std::back_inserter(vanished));
            std::move(walk_->sockets.begin(), walk_->sockets.end(), std::back_inserter(sockets));
            walk_.reset();
        }
    }

    Piece next_of_large() {
        const std::uint64_t stored = stored_size(large_->entry);
        Piece piece;
        piece.large = large_;
        piece.position = position_;
        piece.size = std::min(piece_size, stored - position_);
        if (!large_->entry.sparse) {
            ReadAhead::want(large_->fd.get(), position_, piece.size);
        }
        position_ += piece.size;
        if (position_ == stored) {
            large_.reset();
        }
        return piece;
    }

    const std::size_t open_limit_;
    std::string header_;
    std::deque<Section> sections_;
    std::optional<TreeWalk> walk_;
    std::optional<StreamedTree> streamed_;
    std::optional<FoundEntry> ahead_;
    ReadAhead read_ahead_;
    std::shared_ptr<const LargeFile> large_;
    std::uint64_t position_ = 0;
};

struct ContextDeleter {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

void require(std::size_t result) {
    if (ZSTD_isError(result) != 0) {
        throw Error(ErrorKind::system,
                    fmt::format("cannot compress: {}", ZSTD_getErrorName(result)));
    }
}

// Makes frames that say how large their content is, so that they can be read side by side.
class FrameCompressor {
  public:
    explicit FrameCompressor(int level) : context_(ZSTD_createCCtx()) {
        if (!context_) {
            throw Error(ErrorKind::system, "cannot compress: no memory");
        }
        const auto set = [this](ZSTD_cParameter parameter, int value) {
            require(ZSTD_CCtx_setParameter(context_.get(), parameter, value));
        };
        set(ZSTD_c_compressionLevel, level);
        set(ZSTD_c_checksumFlag, 1);
        if (level == 3) {
            // One table, which fits the second-level cache, and no matches of five bytes: half the
            // time for 3 % of size, which the order of the members nearly wins back. Two tables of
            // that size are an eighth slower and win nothing.
            set(ZSTD_c_strategy, ZSTD_fast);
            set(ZSTD_c_hashLog, 15);
            set(ZSTD_c_minMatch, 6);
        }
    }

    GrowingBuffer compress(Bytes content, GrowingBuffer frame) {
        const std::size_t bound = ZSTD_compressBound(content.size());
        const std::size_t size = ZSTD_compress2(context_.get(), frame.reserve(bound), bound,
                                                content.data(), content.size());
        require(size);
        frame.commit(size);
        return frame;
    }

  private:
    std::unique_ptr<ZSTD_CCtx, ContextDeleter> context_;
};

struct Frame {
    std::vector<GrowingBuffer> frames;  // more than one where names and attributes were many
    ReadNotes notes;
};

std::string trailer(const std::string& sha256) {
    std::string frame;
    for (const std::uint32_t number : {trailer_magic, std::uint32_t{32}}) {
        for (unsigned i = 0; i < 4; ++i) {
            frame += static_cast<char>(number >> 8U * i & 0xffU);
        }
    }
    for (std::size_t i = 0; i < sha256.size(); i += 2) {
        frame += static_cast<char>(std::stoi(sha256.substr(i, 2), nullptr, 16));
    }
    return frame;
}

// What comes after compression: the trailer's sum, encryption, the sum of all that is written.
class Output {
  public:
    Output(const BackupKey& key, bool want_sha256, const ByteSink& sink)
        : sink_(sink), want_sha256_(want_sha256) {
        if (!key.password.empty() && !key.recipients.empty()) {
            throw Error(ErrorKind::usage, "a backup takes a password or recipients, not both");
        }
        const auto take = [this](Bytes bytes) {
            if (want_sha256_) {
                encrypted_.update(bytes);
            }
            deliver(bytes);
        };
        if (!key.password.empty()) {
            encryptor_ = std::make_unique<AgeEncryptor>(key.password, key.work_factor, take);
        } else if (!key.recipients.empty()) {
            std::vector<Key32> recipients;
            for (const std::string& recipient : key.recipients) {
                recipients.push_back(parse_age_recipient(recipient));
            }
            encryptor_ = std::make_unique<AgeEncryptor>(recipients, take);
        }
    }

    void write(Bytes frame) {
        frames_.update(frame);
        if (encryptor_) {
            encryptor_->write(frame);
        } else {
            deliver(frame);
        }
    }

    void finish(BackupResult& result) {
        const std::string last = trailer(frames_.hex_so_far());
        write(as_bytes(last));
        if (encryptor_) {
            encryptor_->finish();
        }
        result.written_bytes = written_;
        if (want_sha256_) {
            // Without a key the sum of the frames, trailer included, is that of the file.
            result.sha256 = encryptor_ ? encrypted_.hex() : frames_.hex();
        }
    }

  private:
    void deliver(Bytes bytes) {
        written_ += bytes.size();
        sink_(bytes);
    }

    const ByteSink& sink_;
    const bool want_sha256_;
    Sha256 frames_;
    Sha256 encrypted_;
    std::unique_ptr<AgeEncryptor> encryptor_;
    std::uint64_t written_ = 0;
};

ssize_t read_file_at(int fd, std::byte* buffer, std::size_t size, off_t offset) {
    return pread(fd, buffer, size, offset);
}

}  // namespace

BackupResult write_backup_reading(const BackupJob& job, const ByteSink& sink, Progress& progress,
                                  const ReadAt& read_at) {
    if (job.key.empty() && !job.header.secrets.empty()) {
        throw Error(ErrorKind::usage, "secrets are not written into a backup without a key");
    }
    const unsigned workers =
        job.workers != 0 ? job.workers : std::max(1U, std::thread::hardware_concurrency());
    const std::size_t window = std::size_t{2} * workers + 2;
    std::vector<FrameCompressor> compressors;
    std::vector<GrowingBuffer> tars(workers);
    for (unsigned i = 0; i < workers; ++i) {
        compressors.emplace_back(job.level);
    }
    SpareBuffers spare;
    const auto compress = [&spare](FrameCompressor& compressor, Bytes tar, Frame& frame) {
        while (!tar.empty()) {
            const Bytes part = tar.first(std::min(tar.size(), frame_limit));
            frame.frames.push_back(compressor.compress(part, spare.take()));
            tar = tar.subspan(part.size());
        }
    };
    PieceMaker pieces(job, window + pieces_ahead);
    Output output(job.key, job.want_sha256, sink);
    BackupResult result;
    BackupClosing closing;
    Sha256 headers;
    std::uint64_t image_bytes = 0;
    Activity activity(progress, "backup");
    const auto deliver = [&](Frame& frame) {
        check_cancellation();
        for (GrowingBuffer& bytes : frame.frames) {
            output.write(bytes.bytes());
            spare.give(std::move(bytes));
        }
        ReadNotes& notes = frame.notes;
        headers.update(as_bytes(notes.headers));
        closing.members += notes.members;
        closing.content_bytes += notes.content_bytes;
        result.files += notes.files;
        std::move(notes.vanished.begin(), notes.vanished.end(),
                  std::back_inserter(result.vanished));
        activity.at(closing.content_bytes, 0);
    };
    if (job.image) {
        const auto deliver_text = [&](const std::string& path, const std::string& text) {
            GrowingBuffer tar;
            Frame frame;
            append_text(path, text, tar, frame.notes);
            compress(compressors.front(), tar.bytes(), frame);
            deliver(frame);
        };
        const Piece header = *pieces.next();
        deliver_text(header.text_path, header.text);
        std::size_t parts = 0;
        std::string part;
        const std::uint64_t before = closing.content_bytes;
        job.image([&](Bytes bytes) {
            while (!bytes.empty()) {
                const Bytes taken =
                    bytes.first(std::min<std::size_t>(bytes.size(), piece_size - part.size()));
                part += as_text(taken);
                bytes = bytes.subspan(taken.size());
                if (part.size() == piece_size) {
                    deliver_text(image_member(parts++), std::exchange(part, {}));
                }
            }
        });
        if (!part.empty()) {
            deliver_text(image_member(parts), part);
        }
        image_bytes = closing.content_bytes - before;
    }
    {
        OrderedPool<Piece, Frame> pool(
            workers, pieces_ahead, window, [&] { return pieces.next(); },
            [&](unsigned worker, Piece piece) {
                if (piece.streamed) {
                    Frame frame;
                    compress(compressors[worker], piece.streamed->tar.bytes(), frame);
                    frame.notes = std::move(piece.streamed->notes);
                    return frame;
                }
                GrowingBuffer& tar = tars[worker];
                tar.truncate(0);
                tar.reserve(piece_size + piece_size / 4);
                Frame frame;
                if (!piece.text_path.empty()) {
                    append_text(piece.text_path, piece.text, tar, frame.notes);
                } else if (piece.large) {
                    if (piece.position == 0) {
                        append_header(*piece.large, tar, frame.notes);
                    }
                    append_content(*piece.large, piece.position, piece.size, read_at, tar,
                                   frame.notes);
                }
                for (FoundEntry& entry : piece.entries) {
                    append_member(std::move(entry), read_at, tar, frame.notes);
                }
                compress(compressors[worker], tar.bytes(), frame);
                return frame;
            });
        while (auto frame = pool.next()) {
            deliver(*frame);
        }
    }
    result.original_bytes = closing.content_bytes - image_bytes;
    closing.headers_sha256 = headers.hex();
    GrowingBuffer tar;
    ReadNotes notes;
    append_text(std::string(closing_member), to_json(closing), tar, notes);
    tar.append(as_bytes(tar_ending()));
    output.write(compressors.front().compress(tar.bytes(), spare.take()).bytes());
    output.finish(result);
    std::move(pieces.vanished.begin(), pieces.vanished.end(), std::back_inserter(result.vanished));
    std::sort(result.vanished.begin(), result.vanished.end());
    result.skipped = std::move(pieces.sockets);
    std::sort(result.skipped.begin(), result.skipped.end());
    return result;
}

BackupResult write_backup(const BackupJob& job, const ByteSink& sink, Progress& progress) {
    return write_backup_reading(job, sink, progress, read_file_at);
}

}  // namespace drunner
