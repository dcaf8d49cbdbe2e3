#include "host/write_ban.hpp"

#include <atomic>

#include "core/error.hpp"

namespace drunner {
namespace {

std::atomic<int> standing{0};

}  // namespace

WriteBan::WriteBan() {
    ++standing;
}

WriteBan::~WriteBan() {
    --standing;
}

void WriteBan::require_none(const std::string& path) {
    if (standing > 0) {
        throw Error(ErrorKind::system, "'" + path + "' would be changed, which --check forbids");
    }
}

}  // namespace drunner
