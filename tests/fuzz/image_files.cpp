#include "archive/image_files.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.hpp"

// Any bytes as the tar of an image's /drunner, which goes through libarchive: files within the
// limits and with names that stay inside, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    constexpr std::size_t part = 700;
    ImageFilesLimits limits;
    limits.files = 20;
    limits.total_bytes = 4000;
    try {
        ImageFilesReader reader("drunner", limits);
        for (std::size_t at = 0; at < text.size(); at += part) {
            reader.write(as_bytes(text.substr(at, part)));
        }
        std::uint64_t total = 0;
        const ImageFiles files = reader.finish();
        for (const auto& [name, file] : files) {
            total += file.content.size();
            if (name.empty() || name.front() == '/' ||
                ("/" + name + "/").find("/../") != name.npos) {
                std::abort();
            }
        }
        if (files.size() > limits.files || total > limits.total_bytes) {
            std::abort();
        }
    } catch (const Error&) {
    }
    try {
        if (single_file(as_bytes(text), limits.total_bytes).size() > limits.total_bytes) {
            std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}
