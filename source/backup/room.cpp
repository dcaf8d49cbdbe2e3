#include "backup/room.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

// What an entry takes beside its content: a block, about.
constexpr std::uint64_t overhead = 4096;
constexpr std::uint64_t largest_reserve = std::uint64_t{64} << 20U;
constexpr std::uint64_t reserved_part = 64;
// A part of what is left may be spent before the next look, since others write there too.
constexpr std::uint64_t spent_part = 4;

}  // namespace

void Room::watch(int directory, std::string path) {
    directory_ = directory;
    path_ = std::move(path);
}

void Room::spend(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t cost = bytes + overhead;
    if (cost > bytes_ || entries_ == 0) {
        look(cost);
    }
    bytes_ -= cost;
    --entries_;
}

void Room::look(std::uint64_t cost) {
    struct statvfs status {};
    if (fstatvfs(directory_, &status) != 0) {
        throw system_error(fmt::format("cannot write '{}'", printable(path_)), errno);
    }
    const std::uint64_t reserve =
        std::min(status.f_blocks * status.f_frsize / reserved_part, largest_reserve);
    const std::uint64_t free = status.f_bavail * status.f_frsize;
    // A file system that counts no entries (btrfs) says that it has none.
    const bool counted = status.f_files > 0;
    const std::uint64_t entries = counted ? status.f_favail : UINT64_MAX;
    const std::uint64_t reserved_entries = counted ? status.f_files / reserved_part : 0;
    if (free < reserve + cost || entries <= reserved_entries) {
        throw Error(
            ErrorKind::no_space,
            fmt::format("cannot write below '{}': no space would be left there", printable(path_)));
    }
    bytes_ = std::max((free - reserve) / spent_part, cost);
    entries_ = std::max<std::uint64_t>((entries - reserved_entries) / spent_part, 1);
}

}  // namespace drunner
