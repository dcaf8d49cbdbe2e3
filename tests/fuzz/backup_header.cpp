#include "backup/backup_header.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.hpp"

// Any bytes as the two JSON members. What is accepted is written again as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        const std::string json = to_json(backup_header_from_json(text));
        if (to_json(backup_header_from_json(json)) != json) {
            std::abort();
        }
    } catch (const Error&) {
    }
    try {
        const BackupClosing closing = backup_closing_from_json(text);
        if (!(backup_closing_from_json(to_json(closing)) == closing)) {
            std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}
