#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/crypto.hpp"

namespace drunner {

// X25519 keys as the age format spells them: Bech32 (BIP 173, without its limit on length) with
// the prefixes "age" (recipient, lower case) and "AGE-SECRET-KEY-" (identity, upper case).

std::string bech32_encode(std::string_view prefix, Bytes data);

struct Bech32 {
    std::string prefix;  // lower case
    std::string data;
};
// Empty where the text is not Bech32; accepts all upper or all lower case.
std::optional<Bech32> bech32_decode(std::string_view text);

// A recipient "age1..."; throws Error(usage) that names it.
Key32 parse_age_recipient(const std::string& text);
std::string format_age_recipient(const Key32& recipient);

// The secrets of an identity file's content: one "AGE-SECRET-KEY-1..." a line, '#' comments and
// blank lines between. Throws Error(usage) naming `path` and the line.
std::vector<Key32> parse_age_identities(std::string_view content, const std::string& path);

struct AgeKeyPair {
    std::string recipient;      // "age1..."
    std::string identity_file;  // content for a file, as age-keygen writes it
};
// A new key from the kernel's randomness; `created_at` is for the comment, ISO 8601.
AgeKeyPair make_age_key_pair(const std::string& created_at);

}  // namespace drunner
