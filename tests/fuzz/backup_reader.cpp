#include <cstddef>
#include <cstdint>

#include "backup/backup_file.hpp"
#include "backup/old_backup.hpp"
#include "backup/tar.hpp"
#include "core/error.hpp"
#include "unit/backup/hand_made_backup.hpp"

namespace {

using namespace drunner;

void verify(const std::string& bytes) {
    if (begins_as_old_backup(bytes)) {
        return;  // a program of its own would read it: fuzz-old_backup
    }
    OpenKey key;
    key.require_trailer = false;
    try {
        test::verify_bytes(bytes, key);
    } catch (const Error&) {
    }
}

}  // namespace

// Any bytes as a backup file and, because no fuzzer finds its way through zstd and checksums, as
// the tar archive in it and as its members behind a header: an Error or an end, nothing else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    verify(text);
    verify(test::compressed(text));
    verify(test::hand_made(text));
    return 0;
}
