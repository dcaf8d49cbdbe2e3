#include "backup/seven_zip.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "backup/tar.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "host/piped_process.hpp"

namespace drunner {
namespace {

// The old tool's archives need a fraction of it; one that says it needs more is a stranger's.
constexpr std::uint64_t memory_limit = std::uint64_t{2} << 30U;
// Of 7z: it got no memory.
constexpr ExitStatus no_memory = 8;
// Of 7z: its stdin ended where it asked for a password.
constexpr ExitStatus asked_in_vain = 255;

std::string find_program() {
    const char* path = getenv("PATH");
    for (const std::string& directory : split(path == nullptr ? "" : path, ':')) {
        const std::string candidate = directory + "/7z";
        if (directory.starts_with('/') && access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    throw Error(ErrorKind::system,
                "the file is a 7-Zip archive, as the drunner of 2016 wrote its backups, and there "
                "is no 7z to read it with",
                "apt-get install p7zip-full");
}

// A tar's first header has its checksum; so has garbage one time in thousands, and is then refused
// later.
bool begins_as_tar(std::string_view block) {
    constexpr std::size_t checksum_offset = 148;
    constexpr std::size_t checksum_size = 8;
    if (block.size() < tar_block) {
        return false;
    }
    unsigned sum = 0;
    for (std::size_t i = 0; i < tar_block; ++i) {
        const bool own = i >= checksum_offset && i < checksum_offset + checksum_size;
        sum += own ? ' ' : static_cast<unsigned char>(block[i]);
    }
    const std::string field(block.substr(checksum_offset, checksum_size));
    return sum == strtoul(field.c_str(), nullptr, 8) || sum == checksum_size * ' ';
}

// What 7z said, in one line and without the name that the file has for it.
std::string complaint_of(const std::string& errors) {
    std::vector<std::string> said;
    for (const std::string& line : split(errors, '\n')) {
        const std::string text(trim(line));
        if (!text.empty() && text != "ERRORS:" && text.find("/proc/") == std::string::npos) {
            said.push_back(printable(text));
        }
    }
    return said.empty() ? "nothing" : join(said, "; ");
}

// One run of 7z.
class Decoder {
  public:
    Decoder(const PipedStart& start, std::string shown)
        : shown_(std::move(shown)), process_(start) {}

    // Reads the first block; false where the password does not fit. Where there was none, it is not
    // the reason for a stream that is no tar.
    bool begins_well(bool with_password) {
        std::array<std::byte, tar_block> block{};
        while (beginning_.size() < block.size()) {
            const std::size_t got =
                process_.read(std::span(block).first(block.size() - beginning_.size()));
            if (got == 0) {
                break;
            }
            beginning_ += as_text(Bytes(block).first(got));
        }
        if (begins_as_tar(beginning_)) {
            return true;
        }
        if (beginning_.size() == block.size()) {
            // Content that is stored as it is comes out as garbage before 7z sees that.
            if (!with_password) {
                damaged("it holds no tar archive");
            }
            return false;
        }
        const ExitStatus status = process_.wait();
        if (status == asked_in_vain ||
            process_.errors().find("Wrong password") != std::string::npos) {
            return false;
        }
        require_success(status);
        damaged("it holds no tar archive");
    }

    std::size_t read(std::span<std::byte> buffer) {
        if (used_ < beginning_.size()) {
            const std::size_t part = std::min(buffer.size(), beginning_.size() - used_);
            std::memcpy(buffer.data(), beginning_.data() + used_, part);
            used_ += part;
            return part;
        }
        const std::size_t got = process_.read(buffer);
        if (got == 0) {
            require_success(process_.wait());
        }
        return got;
    }

  private:
    [[noreturn]] void damaged(const std::string& why) const {
        throw Error(ErrorKind::archive_damaged,
                    fmt::format("the backup is damaged: {}: {}", shown_, why));
    }

    void require_success(ExitStatus status) const {
        if (status == 0) {
            return;
        }
        const std::string said = "7z says: " + complaint_of(process_.errors());
        if (status == no_memory) {
            throw Error(ErrorKind::archive_refused,
                        fmt::format("{} needs more than {} to be decoded: {}", shown_,
                                    human_size(memory_limit), said));
        }
        damaged(said);
    }

    std::string shown_;
    PipedProcess process_;
    std::string beginning_;
    std::size_t used_ = 0;
};

}  // namespace

SevenZip::SevenZip(const OpenKey& key)
    : program_(find_program()), has_password_(!key.password.empty()), passwords_(1) {
    if (!key.identity_file.empty()) {
        throw Error(ErrorKind::usage,
                    "the old tool encrypted its backups with a password, never for age identities",
                    "set PASS or give --password-file FILE");
    }
    if (key.password.reveal().find('\n') != std::string_view::npos) {
        throw Error(ErrorKind::usage, "a password with a line feed cannot be given to 7z");
    }
    if (has_password_) {
        passwords_.push_back(key.password);
    }
    // Its first versions in C++ took PASS="secret" with the quotes, also where there was none.
    passwords_.emplace_back(fmt::format("\"{}\"", key.password.reveal()));
}

ByteSource SevenZip::open(int file, const std::string& shown) {
    PipedStart start;
    // 7z opens the file anew, from its beginning. One thread more than one decodes nothing sooner.
    start.arguments = {program_, "x",      "-so",
                       "-t7z",   "-mmt=1", "-bd",
                       "-y",     "--",     fmt::format("/proc/{}/fd/{}", getpid(), file)};
    // Passwords were UTF-8 where the archives were made.
    start.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
    start.memory = memory_limit;
    for (std::size_t i = 0; i < passwords_.size(); ++i) {
        const bool with_password = i > 0;
        const Secret line(with_password ? std::string(passwords_[i].reveal()) + '\n' : "");
        start.input = line.reveal();
        const auto decoder = std::make_shared<Decoder>(start, shown);
        if (decoder->begins_well(with_password)) {
            fitting_ = i;
            return [decoder](std::span<std::byte> buffer) { return decoder->read(buffer); };
        }
    }
    throw Error(ErrorKind::wrong_password,
                has_password_
                    ? fmt::format("the password does not open {}, or it is damaged", shown)
                    : "the file is encrypted with a password",
                "set PASS or give --password-file FILE");
}

}  // namespace drunner
