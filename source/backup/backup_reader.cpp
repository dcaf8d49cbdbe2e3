#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backup/age.hpp"
#include "backup/age_key.hpp"
#include "backup/backup_header.hpp"
#include "backup/frame_stream.hpp"
#include "backup/old_backup.hpp"
#include "backup/tar.hpp"
#include "backup/unpacking.hpp"
#include "core/cancellation.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

// Of the JSON members: settings and labels of 64 volumes need a fraction of it.
constexpr std::uint64_t json_limit = std::uint64_t{16} << 20U;
constexpr int wait_milliseconds = 200;

[[noreturn]] void damaged(const std::string& why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
}

// Reads the descriptor and can be stopped by a signal while a pipe has nothing.
ByteSource source_of(int fd) {
    return [fd](std::span<std::byte> buffer) -> std::size_t {
        while (true) {
            check_cancellation();
            pollfd waiting{fd, POLLIN, 0};
            const int ready = poll(&waiting, 1, wait_milliseconds);
            if (ready == 0 || (ready < 0 && errno == EINTR)) {
                continue;
            }
            const ssize_t got = read(fd, buffer.data(), buffer.size());
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno != EINTR && errno != EAGAIN) {
                throw system_error("cannot read the backup", errno);
            }
        }
    };
}

// A source whose first bytes can be looked at.
class Beginning {
  public:
    Beginning(ByteSource source, std::size_t size) : source_(std::move(source)) {
        std::vector<std::byte> buffer(size);
        while (bytes_.size() < size) {
            const std::size_t got = source_(std::span(buffer).first(size - bytes_.size()));
            if (got == 0) {
                break;
            }
            bytes_ += as_text(Bytes(buffer).first(got));
        }
    }

    const std::string& bytes() const { return bytes_; }

    ByteSource whole() && {
        return [bytes = std::move(bytes_), source = std::move(source_),
                used = std::size_t{0}](std::span<std::byte> buffer) mutable {
            if (used == bytes.size()) {
                return source(buffer);
            }
            const std::size_t part = std::min(buffer.size(), bytes.size() - used);
            std::memcpy(buffer.data(), bytes.data() + used, part);
            used += part;
            return part;
        };
    }

  private:
    ByteSource source_;
    std::string bytes_;
};

// A zstd frame, or a skippable one: how a backup without a key begins.
bool begins_as_frame(std::string_view bytes) {
    constexpr std::string_view frame = "\x28\xb5\x2f\xfd";
    constexpr std::string_view skippable_end = "\x2a\x4d\x18";
    return bytes.starts_with(frame) ||
           (bytes.size() > skippable_end.size() && bytes.substr(1).starts_with(skippable_end));
}

ByteSource decrypted(Beginning beginning, const OpenKey& key) {
    const bool has_key = !key.password.empty() || !key.identity_file.empty();
    if (beginning.bytes() == age_magic) {
        std::vector<Key32> identities;
        if (!key.identity_file.empty()) {
            identities = parse_age_identities(read_file(key.identity_file), key.identity_file);
        }
        const auto decryptor =
            std::make_shared<AgeDecryptor>(std::move(beginning).whole(), key.password, identities);
        return [decryptor](std::span<std::byte> buffer) { return decryptor->read(buffer); };
    }
    if (beginning.bytes().starts_with("-----BEGIN AGE")) {
        throw Error(ErrorKind::archive_refused, "the file is age's ASCII armor",
                    "age -d FILE | drunner restore -");
    }
    if (beginning.bytes().empty()) {
        damaged("it is empty");
    }
    if (!begins_as_frame(beginning.bytes())) {
        damaged("it is no backup at all");
    }
    if (has_key && !key.allow_plain) {
        throw Error(ErrorKind::wrong_password, "a key was given, but the file is not encrypted",
                    "leave the key out, or give --plain");
    }
    return std::move(beginning).whole();
}

class StreamedBackup : public BackupReader {
  public:
    StreamedBackup(ByteSource source, bool require_trailer)
        : frames_(std::move(source), require_trailer), tar_([this] { return frames_.next(); }) {
        const std::optional<TarEntry> entry = tar_.next();
        if (!entry || entry->path != header_member || entry->type != TarType::file) {
            damaged("it does not begin with a header");
        }
        header_ = backup_header_from_json(json_text(*entry));
        count(*entry);
    }

    const BackupHeader& header() override { return header_; }

    RestoreResult extract(const RestoreTargets& targets, Progress& progress) override {
        return read("restore", targets, {}, progress);
    }

    RestoreResult verify(const std::function<void(const Member&)>& member,
                         Progress& progress) override {
        return read("verify", {}, member, progress);
    }

    void read_image(const std::function<void(const ByteSource&)>& load) override {
        std::vector<std::byte> held;
        std::size_t used = 0;
        ahead_ = tar_.next();
        bool inside = take_image_part();
        const auto source = [&](std::span<std::byte> buffer) -> std::size_t {
            while (inside && used == held.size()) {
                const Bytes bytes = tar_.content().bytes;
                held.assign(bytes.begin(), bytes.end());
                used = 0;
                if (held.empty()) {
                    ahead_ = tar_.next();
                    inside = take_image_part();
                }
            }
            const std::size_t count = std::min(buffer.size(), held.size() - used);
            std::copy_n(held.begin() + static_cast<std::ptrdiff_t>(used), count, buffer.begin());
            used += count;
            return count;
        };
        load(source);
        // The engine need not read what follows the end of its tar.
        std::array<std::byte, 4096> rest{};
        while (source(rest) > 0) {
            check_cancellation();
        }
    }

  private:
    // Whether the entry ahead is the next part of the image, which is then counted.
    bool take_image_part() {
        if (!ahead_ || ahead_->path != image_member(image_parts_)) {
            return false;
        }
        if (!header_.image_embedded || ahead_->type != TarType::file || ahead_->sparse) {
            damaged(fmt::format("'{}' is not in its place", ahead_->path));
        }
        ++image_parts_;
        image_bytes_ += stored_size(*ahead_);
        count(*ahead_);
        return true;
    }

    // The first entry behind the image.
    std::optional<TarEntry> next_entry() {
        if (!behind_image_) {
            if (!ahead_) {
                ahead_ = tar_.next();
            }
            while (take_image_part()) {
                check_cancellation();
                ahead_ = tar_.next();
            }
            if (header_.image_embedded && image_parts_ == 0) {
                damaged("its image is missing");
            }
            behind_image_ = true;
            return std::exchange(ahead_, std::nullopt);
        }
        return tar_.next();
    }

    std::string json_text(const TarEntry& entry) {
        if (entry.sparse || entry.size > json_limit) {
            damaged(fmt::format("'{}' is too large", printable(entry.path)));
        }
        std::string text;
        for (auto part = tar_.content(); !part.bytes.empty(); part = tar_.content()) {
            text += as_text(part.bytes);
        }
        return text;
    }

    void count(const TarEntry& entry) {
        ++seen_.members;
        seen_.content_bytes += stored_size(entry);
    }

    std::vector<Section> sections(const RestoreTargets& targets) const {
        std::vector<Section> all{{std::string(scripts_member), {}, targets.scripts_directory},
                                 {std::string(hook_member), {}, targets.hook_directory}};
        for (std::size_t i = 0; i < header_.volumes.size(); ++i) {
            const std::string& path = header_.volumes[i].path;
            const auto target = targets.volumes.find(path);
            all.push_back({volume_member(i), path,
                           target == targets.volumes.end() ? std::string() : target->second});
            if (const auto stream = targets.streams.find(path); stream != targets.streams.end()) {
                all.back().stream = stream->second;
            }
        }
        return all;
    }

    RestoreResult read(const char* activity_name, const RestoreTargets& targets,
                       const std::function<void(const Member&)>& member, Progress& progress) {
        Unpacking unpacking(sections(targets), member, progress);
        Activity activity(progress, activity_name);
        std::optional<TarEntry> entry;
        while (true) {
            entry = next_entry();
            if (!entry) {
                damaged("it is truncated, its closing member is missing");
            }
            if (entry->path == closing_member && entry->type == TarType::file) {
                break;
            }
            check_cancellation();
            count(*entry);
            activity.at(seen_.content_bytes, 0);
            unpacking.take(std::move(*entry), tar_);
        }
        check_closing(*entry);
        unpacking.finish();
        return {unpacking.files(), seen_.content_bytes - image_bytes_};
    }

    void check_closing(const TarEntry& entry) {
        seen_.headers_sha256 = tar_.headers_sha256();
        const BackupClosing closing = backup_closing_from_json(json_text(entry));
        if (closing != seen_) {
            damaged("its closing member does not fit what came before");
        }
        // The archive's end, all that follows it, and the trailer.
        if (tar_.next()) {
            damaged("something follows its closing member");
        }
    }

    FrameStream frames_;
    TarReader tar_;
    BackupHeader header_;
    BackupClosing seen_;
    std::optional<TarEntry> ahead_;
    std::size_t image_parts_ = 0;
    std::uint64_t image_bytes_ = 0;
    bool behind_image_ = false;
};

std::optional<std::uint64_t> size_of_file(int fd) {
    struct stat status {};
    const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    return is_file ? std::optional(static_cast<std::uint64_t>(status.st_size)) : std::nullopt;
}

std::unique_ptr<BackupReader> reader_of(int fd, const OpenKey& key) {
    Beginning beginning(source_of(fd), age_magic.size());
    if (begins_as_old_backup(beginning.bytes())) {
        return open_old_backup(fd, std::move(beginning).whole(), key);
    }
    return std::make_unique<StreamedBackup>(decrypted(std::move(beginning), key),
                                            key.require_trailer);
}

}  // namespace

std::unique_ptr<BackupReader> open_backup(int fd, const OpenKey& key) {
    std::unique_ptr<BackupReader> reader = reader_of(fd, key);
    reader->packed_bytes = size_of_file(fd);
    return reader;
}

}  // namespace drunner
