#include "host/tree_size.hpp"

#include <cstdint>
#include <filesystem>
#include <system_error>

namespace drunner {

unsigned long long bytes_below(const std::string& directory) {
    namespace fs = std::filesystem;
    unsigned long long sum = 0;
    std::error_code ignored;
    for (auto entry = fs::recursive_directory_iterator(directory, ignored);
         entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
        if (entry->symlink_status(ignored).type() == fs::file_type::regular) {
            const std::uintmax_t size = entry->file_size(ignored);
            sum += ignored ? 0 : size;
        }
    }
    return sum;
}

}  // namespace drunner
