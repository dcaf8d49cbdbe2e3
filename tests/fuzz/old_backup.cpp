#include <cstddef>
#include <cstdint>

#include "core/error.hpp"
#include "unit/backup/old_backup_fixture.hpp"

namespace {

using namespace drunner;

void verify(const std::string& bytes) {
    test::SilentProgress progress;
    const FileDescriptor file = test::reading(bytes);
    try {
        read_old_backup(file.get(), test::not_packed)->verify({}, progress);
    } catch (const Error&) {
    }
}

}  // namespace

// Any bytes as a backup of the old tool, its archives not packed, as the tar of its volume, and as
// its variables: an Error or an end, nothing else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    verify(text);
    verify(test::old_backup_of(text));
    try {
        parse_old_variables(text);
    } catch (const Error&) {
    }
    return 0;
}
