#include "core/service_name.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::size_t longest_name = 63;

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

bool ServiceName::is_valid(std::string_view text) {
    return !text.empty() && text.size() <= longest_name && is_lower_or_digit(text.front()) &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_lower_or_digit(c) || c == '_' || c == '.' || c == '-';
           });
}

ServiceName::ServiceName(std::string_view text) : text_(text) {
    if (!is_valid(text)) {
        throw Error(ErrorKind::invalid_name,
                    "'" + printable(text) +
                        "' cannot be a service's name: it takes 1 to 63 of a-z 0-9 _ . - and "
                        "begins with a letter or digit",
                    "drunner install IMAGE NAME");
    }
}

}  // namespace drunner
