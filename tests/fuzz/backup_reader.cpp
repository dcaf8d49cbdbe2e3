#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "backup/backup_file.hpp"
#include "backup/tar.hpp"
#include "core/error.hpp"
#include "fakes/silent_progress.hpp"
#include "host/file.hpp"

// Any bytes as a backup file and, because no fuzzer finds its way through zstd, as the tar archive
// in it: an Error or an end, nothing else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    const Bytes bytes = std::as_bytes(std::span(data, size));
    try {
        bool given = false;
        TarReader tar([&]() -> Bytes {
            const bool first = !given;
            given = true;
            return first ? bytes : Bytes();
        });
        while (tar.next()) {
            while (!tar.content().bytes.empty()) {
            }
        }
    } catch (const Error&) {
    }
    const FileDescriptor file(memfd_create("backup", MFD_CLOEXEC));
    if (write(file.get(), data, size) != static_cast<ssize_t>(size)) {
        return 0;
    }
    lseek(file.get(), 0, SEEK_SET);
    try {
        OpenKey key;
        key.require_trailer = false;
        test::SilentProgress progress;
        open_backup(file.get(), key)->verify({}, progress);
    } catch (const Error&) {
    }
    return 0;
}
