#include "container/tenant.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::size_t longest_name = 63;

bool is_name(std::string_view text, std::string_view further) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !text.empty() && text.size() <= longest_name && is_plain(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return is_plain(c) || further.find(c) != std::string_view::npos;
           });
}

}  // namespace

Tenant::Tenant(std::string_view text) : text_(text) {
    if (!is_name(text, "_-")) {
        throw Error(ErrorKind::invalid_name,
                    "'" + printable(text) +
                        "' cannot be a tenant's name: it takes 1 to 63 of A-Z a-z 0-9 _ - and "
                        "begins with a letter or digit",
                    "drunner help container");
    }
}

bool is_tenant_object_name(std::string_view text) {
    return is_name(text, "_.-");
}

}  // namespace drunner
