#include "cli/error_document.hpp"

#include <nlohmann/json.hpp>

namespace drunner {

nlohmann::json error_document(const Error& error) {
    return {{"kind", kind_word(error.kind())},
            {"message", error.what()},
            {"next", error.next()},
            {"retryable", is_retryable(error.kind())},
            {"rolled_back", error.rolled_back()}};
}

}  // namespace drunner
