#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace drunner {

// POSIX ACLs between the kernel's form (the value of system.posix_acl_access, see
// linux/posix_acl_xattr.h) and the text that tar archives carry in SCHILY.acl.*: entries like
// "user:1000:rw-", with numbers, one a line.

inline constexpr std::string_view acl_access_attribute = "system.posix_acl_access";
inline constexpr std::string_view acl_default_attribute = "system.posix_acl_default";

// Empty where the value is not an ACL.
std::optional<std::string> acl_to_text(std::string_view value);

// Reads lines or commas, names (looked up on this machine) or numbers, and star's number in a
// fourth field. Empty where the text is not an ACL.
std::optional<std::string> acl_from_text(std::string_view text);

}  // namespace drunner
