#include "core/image_reference.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.hpp"

// Any bytes as an image reference. What is accepted names the same when the engine's name for it is
// read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    try {
        const ImageReference reference({reinterpret_cast<const char*>(data), size});
        const ImageReference again(reference.engine_name());
        if (again.repository() != reference.repository() ||
            again.manifest() != reference.manifest() || reference.path().empty() ||
            reference.domain().empty()) {
            std::abort();
        }
    } catch (const Error&) {
    }
    return 0;
}
