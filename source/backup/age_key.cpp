#include "backup/age_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::string_view digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr std::string_view recipient_prefix = "age";
constexpr std::string_view identity_prefix = "age-secret-key-";

using Fives = std::vector<unsigned char>;

std::uint32_t polymod(const Fives& values) {
    constexpr std::array<std::uint32_t, 5> generator{0x3b6a57b2U, 0x26508e6dU, 0x1ea119faU,
                                                     0x3d4233ddU, 0x2a1462b3U};
    std::uint32_t sum = 1;
    for (const unsigned char value : values) {
        const std::uint32_t top = sum >> 25U;
        sum = (sum & 0x1ffffffU) << 5U ^ value;
        for (unsigned i = 0; i < generator.size(); ++i) {
            if ((top >> i & 1U) != 0) {
                sum ^= generator[i];
            }
        }
    }
    return sum;
}

Fives expanded(std::string_view prefix) {
    Fives values;
    for (const char c : prefix) {
        values.push_back(static_cast<unsigned char>(static_cast<unsigned char>(c) >> 5U));
    }
    values.push_back(0);
    for (const char c : prefix) {
        values.push_back(static_cast<unsigned char>(c) & 31U);
    }
    return values;
}

Fives to_fives(Bytes data) {
    Fives values;
    unsigned bits = 0;
    unsigned count = 0;
    for (const std::byte byte : data) {
        bits = (bits << 8U | std::to_integer<unsigned>(byte)) & 0xfffU;
        count += 8;
        while (count >= 5) {
            count -= 5;
            values.push_back(static_cast<unsigned char>(bits >> count & 31U));
        }
    }
    if (count > 0) {
        values.push_back(static_cast<unsigned char>(bits << (5 - count) & 31U));
    }
    return values;
}

std::optional<std::string> from_fives(const Fives& values) {
    std::string data;
    unsigned bits = 0;
    unsigned count = 0;
    for (const unsigned char value : values) {
        bits = (bits << 5U | value) & 0xfffU;
        count += 5;
        if (count >= 8) {
            count -= 8;
            data += static_cast<char>(bits >> count & 0xffU);
        }
    }
    if (count >= 5 || (bits & ((1U << count) - 1U)) != 0) {
        return std::nullopt;
    }
    return data;
}

bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

std::string to_upper(std::string_view text) {
    std::string upper(text);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; });
    return upper;
}

std::optional<Key32> key_of(std::string_view text, std::string_view prefix) {
    std::optional<Bech32> decoded = bech32_decode(text);
    if (!decoded || decoded->prefix != prefix || decoded->data.size() != Key32{}.size()) {
        return std::nullopt;
    }
    Key32 key{};
    std::memcpy(key.data(), decoded->data.data(), key.size());
    wipe(std::as_writable_bytes(std::span(decoded->data)));
    return key;
}

}  // namespace

std::string bech32_encode(std::string_view prefix, Bytes data) {
    Fives values = to_fives(data);
    Fives checked = expanded(prefix);
    checked.insert(checked.end(), values.begin(), values.end());
    checked.insert(checked.end(), 6, 0);
    const std::uint32_t sum = polymod(checked) ^ 1U;
    for (unsigned i = 0; i < 6; ++i) {
        values.push_back(static_cast<unsigned char>(sum >> 5U * (5U - i) & 31U));
    }
    std::string text = std::string(prefix) + "1";
    for (const unsigned char value : values) {
        text += digits[value];
    }
    return text;
}

std::optional<Bech32> bech32_decode(std::string_view text) {
    if (std::any_of(text.begin(), text.end(), is_upper) &&
        std::any_of(text.begin(), text.end(), is_lower)) {
        return std::nullopt;
    }
    const std::string lower = to_lower(text);
    const std::size_t separator = lower.rfind('1');
    if (separator == std::string::npos || separator == 0 || lower.size() - separator < 7) {
        return std::nullopt;
    }
    const std::string prefix = lower.substr(0, separator);
    if (std::any_of(prefix.begin(), prefix.end(), [](char c) { return c < 33 || c > 126; })) {
        return std::nullopt;
    }
    Fives values;
    for (const char c : std::string_view(lower).substr(separator + 1)) {
        const std::size_t digit = digits.find(c);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        values.push_back(static_cast<unsigned char>(digit));
    }
    Fives checked = expanded(prefix);
    checked.insert(checked.end(), values.begin(), values.end());
    if (polymod(checked) != 1) {
        return std::nullopt;
    }
    values.resize(values.size() - 6);
    std::optional<std::string> data = from_fives(values);
    if (!data) {
        return std::nullopt;
    }
    return Bech32{prefix, std::move(*data)};
}

Key32 parse_age_recipient(const std::string& text) {
    const std::optional<Key32> key = key_of(text, recipient_prefix);
    if (!key || text != to_lower(text)) {
        throw Error(ErrorKind::usage,
                    fmt::format("'{}' is not an age recipient (age1...)", printable(text)),
                    "age-keygen -o FILE");
    }
    return *key;
}

std::string format_age_recipient(const Key32& recipient) {
    return bech32_encode(recipient_prefix, recipient);
}

std::vector<Key32> parse_age_identities(std::string_view content, const std::string& path) {
    std::vector<Key32> keys;
    int number = 0;
    while (!content.empty()) {
        ++number;
        const std::size_t end = std::min(content.find('\n'), content.size());
        const std::string_view line = trim(content.substr(0, end));
        content.remove_prefix(std::min(end + 1, content.size()));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const std::optional<Key32> key = key_of(line, identity_prefix);
        if (!key || !is_upper(line.front())) {
            throw Error(ErrorKind::usage, fmt::format("line {} of '{}' is not an age identity "
                                                      "(AGE-SECRET-KEY-1...)",
                                                      number, printable(path)));
        }
        keys.push_back(*key);
    }
    if (keys.empty()) {
        throw Error(ErrorKind::usage, fmt::format("'{}' holds no age identity", printable(path)));
    }
    return keys;
}

AgeKeyPair make_age_key_pair(const std::string& created_at) {
    Key32 secret{};
    fill_random(secret);
    AgeKeyPair pair;
    pair.recipient = format_age_recipient(x25519_public(secret));
    pair.identity_file =
        fmt::format("# created: {}\n# public key: {}\n{}\n", created_at, pair.recipient,
                    to_upper(bech32_encode(identity_prefix, secret)));
    wipe(secret);
    return pair;
}

}  // namespace drunner
