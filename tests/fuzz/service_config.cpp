#include "service/service_config.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.hpp"

// Any bytes as a servicecfg.sh, and as what bash printed about one: a config that keeps the limits,
// a line that needs bash, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace drunner;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const ParsedConfig parsed = parse_service_config(text);
        if (parsed.config) {
            check_service_config(*parsed.config);
        } else if (parsed.bash_line < 1) {
            std::abort();
        }
    } catch (const Error&) {
    }
    try {
        check_service_config(parse_evaluated_config(text));
    } catch (const Error&) {
    }
    return 0;
}
