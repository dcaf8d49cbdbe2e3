#include "backup/acl_text.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "core/text.hpp"

namespace drunner {
namespace {

constexpr std::uint32_t version = 2;
constexpr std::uint32_t no_id = 0xffffffffU;
constexpr std::size_t entry_size = 8;

struct Tag {
    std::uint16_t number;
    std::string_view word;
    bool has_id;
};
// The kernel wants the entries of an ACL in this order.
constexpr std::array tags{Tag{0x01, "user", false},  Tag{0x02, "user", true},
                          Tag{0x04, "group", false}, Tag{0x08, "group", true},
                          Tag{0x10, "mask", false},  Tag{0x20, "other", false}};

std::uint32_t little_endian(std::string_view bytes) {
    std::uint32_t number = 0;
    for (std::size_t i = bytes.size(); i > 0; --i) {
        number = number << 8U | static_cast<unsigned char>(bytes[i - 1]);
    }
    return number;
}

void append_little_endian(std::string& bytes, std::uint32_t number, unsigned width) {
    for (unsigned i = 0; i < width; ++i) {
        bytes += static_cast<char>(number >> 8U * i & 0xffU);
    }
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number == no_id) {
        return std::nullopt;
    }
    return number;
}

std::optional<std::uint32_t> id_of(const Tag& tag, const std::vector<std::string>& fields) {
    if (fields.size() == 4) {
        return parse_number(fields[3]);
    }
    if (const auto number = parse_number(fields[1])) {
        return number;
    }
    std::vector<char> buffer(1U << 16U);
    if (tag.word == "user") {
        passwd entry{};
        passwd* found = nullptr;
        getpwnam_r(fields[1].c_str(), &entry, buffer.data(), buffer.size(), &found);
        return found == nullptr ? std::nullopt : std::optional<std::uint32_t>(entry.pw_uid);
    }
    group entry{};
    group* found = nullptr;
    getgrnam_r(fields[1].c_str(), &entry, buffer.data(), buffer.size(), &found);
    return found == nullptr ? std::nullopt : std::optional<std::uint32_t>(entry.gr_gid);
}

std::optional<std::uint32_t> permissions_of(std::string_view text) {
    constexpr std::string_view letters = "rwx";
    if (text.size() != letters.size()) {
        return std::nullopt;
    }
    std::uint32_t permissions = 0;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if (text[i] == letters[i]) {
            permissions |= 4U >> i;
        } else if (text[i] != '-') {
            return std::nullopt;
        }
    }
    return permissions;
}

}  // namespace

std::optional<std::string> acl_to_text(std::string_view value) {
    if (value.size() < 4 || (value.size() - 4) % entry_size != 0 ||
        little_endian(value.substr(0, 4)) != version) {
        return std::nullopt;
    }
    std::string text;
    for (std::size_t at = 4; at < value.size(); at += entry_size) {
        const std::uint32_t number = little_endian(value.substr(at, 2));
        const std::uint32_t permissions = little_endian(value.substr(at + 2, 2));
        const std::uint32_t id = little_endian(value.substr(at + 4, 4));
        const Tag* found = nullptr;
        for (const Tag& tag : tags) {
            found = tag.number == number ? &tag : found;
        }
        if (found == nullptr || permissions > 7) {
            return std::nullopt;
        }
        text += fmt::format(
            "{}:{}:{}{}{}\n", found->word, found->has_id ? std::to_string(id) : std::string(),
            (permissions & 4U) != 0 ? 'r' : '-', (permissions & 2U) != 0 ? 'w' : '-',
            (permissions & 1U) != 0 ? 'x' : '-');
    }
    return text;
}

std::optional<std::string> acl_from_text(std::string_view text) {
    std::string lines(text);
    for (char& c : lines) {
        c = c == ',' ? '\n' : c;
    }
    std::string value;
    append_little_endian(value, version, 4);
    std::vector<std::string> entries = split(lines, '\n');
    for (const Tag& tag : tags) {
        for (std::string& entry : entries) {
            const std::vector<std::string> fields = split(trim(entry), ':');
            const bool has_id = fields.size() > 1 && !fields[1].empty();
            if (fields.size() < 3 || fields.size() > 4 || fields[0] != tag.word ||
                has_id != tag.has_id) {
                continue;
            }
            const auto permissions = permissions_of(fields[2]);
            const auto id = tag.has_id ? id_of(tag, fields) : std::optional(no_id);
            if (!permissions || !id) {
                return std::nullopt;
            }
            append_little_endian(value, tag.number, 2);
            append_little_endian(value, *permissions, 2);
            append_little_endian(value, *id, 4);
            entry.clear();
        }
    }
    for (const std::string& entry : entries) {
        if (!trim(entry).empty()) {
            return std::nullopt;
        }
    }
    return value;
}

}  // namespace drunner
