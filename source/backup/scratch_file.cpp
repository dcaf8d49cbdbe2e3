#include "backup/scratch_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

Error cannot_write(const std::string& directory, int error_number) {
    return system_error(fmt::format("cannot write a temporary file in '{}'", printable(directory)),
                        error_number);
}

}  // namespace

ScratchFile::ScratchFile() {
    const char* wanted = getenv("TMPDIR");
    directory_ = wanted != nullptr && *wanted == '/' ? wanted : "/var/tmp";
    std::string name = directory_ + "/drunner.XXXXXX";
    fd_.reset(mkostemp(name.data(), O_CLOEXEC));
    if (!fd_.valid() || unlink(name.c_str()) != 0) {
        throw cannot_write(directory_, errno);
    }
    room_.watch(fd_.get(), directory_);
}

void ScratchFile::write(Bytes bytes) {
    room_.spend(bytes.size());
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            throw cannot_write(directory_, errno);
        }
    }
}

}  // namespace drunner
