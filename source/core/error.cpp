#include "core/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace drunner {
namespace {

struct KindRow {
    ErrorKind kind;
    std::string_view word;
    bool retryable;
};

constexpr std::array kind_rows{
    KindRow{ErrorKind::usage, "usage", false},
    KindRow{ErrorKind::settings, "settings", false},
    KindRow{ErrorKind::invalid_name, "invalid-name", false},
    KindRow{ErrorKind::invalid_reference, "invalid-reference", false},
    KindRow{ErrorKind::image_not_found, "image-not-found", false},
    KindRow{ErrorKind::image_refused, "image-refused", false},
    KindRow{ErrorKind::scripts_not_accepted, "scripts-not-accepted", false},
    KindRow{ErrorKind::already_installed, "already-installed", false},
    KindRow{ErrorKind::not_installed, "not-installed", false},
    KindRow{ErrorKind::broken, "broken", false},
    KindRow{ErrorKind::unfinished, "unfinished", false},
    KindRow{ErrorKind::locked, "locked", true},
    KindRow{ErrorKind::engine_unreachable, "engine-unreachable", true},
    KindRow{ErrorKind::engine_denied, "engine-denied", false},
    KindRow{ErrorKind::engine_conflict, "engine-conflict", false},
    KindRow{ErrorKind::engine_not_found, "engine-not-found", false},
    KindRow{ErrorKind::engine_refused, "engine-refused", false},
    KindRow{ErrorKind::registry_unreachable, "registry-unreachable", true},
    KindRow{ErrorKind::registry_denied, "registry-denied", false},
    KindRow{ErrorKind::script_failed, "script-failed", false},
    KindRow{ErrorKind::unhealthy, "unhealthy", false},
    KindRow{ErrorKind::volume_missing, "volume-missing", false},
    KindRow{ErrorKind::volume_foreign, "volume-foreign", false},
    KindRow{ErrorKind::in_use, "in-use", true},
    KindRow{ErrorKind::archive_damaged, "archive-damaged", false},
    KindRow{ErrorKind::archive_refused, "archive-refused", false},
    KindRow{ErrorKind::wrong_password, "wrong-password", false},
    KindRow{ErrorKind::file_exists, "file-exists", false},
    KindRow{ErrorKind::no_space, "no-space", true},
    KindRow{ErrorKind::system, "system", false},
    KindRow{ErrorKind::timed_out, "timed-out", true},
    KindRow{ErrorKind::interrupted, "interrupted", true},
};

constexpr const KindRow& row_of(ErrorKind kind) {
    return kind_rows[static_cast<std::size_t>(kind)];
}

constexpr bool rows_stand_in_order() {
    for (std::size_t i = 0; i < kind_rows.size(); ++i) {
        if (kind_rows[i].kind != static_cast<ErrorKind>(i)) {
            return false;
        }
    }
    return kind_rows.size() == static_cast<std::size_t>(ErrorKind::interrupted) + 1;
}
static_assert(rows_stand_in_order());

}  // namespace

std::string_view kind_word(ErrorKind kind) {
    return row_of(kind).word;
}

bool is_retryable(ErrorKind kind) {
    return row_of(kind).retryable;
}

Error::Error(ErrorKind kind, const std::string& message, std::string next)
    : std::runtime_error(message), kind_(kind), next_(std::move(next)) {}

Error Error::within(std::string_view context) const {
    Error told(kind_, std::string(context) + ": " + what(), next_);
    told.rolled_back_ = rolled_back_;
    return told;
}

Error Error::after_roll_back() const {
    Error told = *this;
    told.rolled_back_ = true;
    return told;
}

Error system_error(std::string_view context, int error_number) {
    const ErrorKind kind =
        error_number == ENOSPC || error_number == EDQUOT ? ErrorKind::no_space : ErrorKind::system;
    return Error(kind, std::string(context) + ": " + std::strerror(error_number));
}

}  // namespace drunner
