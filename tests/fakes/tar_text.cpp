#include "fakes/tar_text.hpp"

#include <fmt/format.h>

namespace drunner::test {

std::string tar_header(const TarMember& member) {
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, std::size_t width, std::string_view text) {
        block.replace(at, std::min(width, text.size()), text.substr(0, width));
    };
    put(0, 100, member.name);
    put(100, 8, fmt::format("{:07o}", member.mode));
    put(108, 8, fmt::format("{:07o}", member.uid));
    put(116, 8, fmt::format("{:07o}", member.gid));
    put(124, 12, member.size.empty() ? fmt::format("{:011o}", member.content.size()) : member.size);
    put(136, 12, "00000000000");
    block[156] = member.type;
    put(157, 100, member.link);
    put(257, 8, std::string_view("ustar\00000", 8));
    put(329, 8, fmt::format("{:07o}", member.device_major));
    put(337, 8, fmt::format("{:07o}", member.device_minor));
    return with_checksum(block);
}

std::string with_checksum(std::string block) {
    block.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : block) {
        sum += static_cast<unsigned char>(c);
    }
    return block.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
}

std::string tar_member(const TarMember& member) {
    std::string text = tar_header(member) + member.content;
    text.resize((text.size() + 511) / 512 * 512, '\0');
    return text;
}

std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) {
        length = std::to_string(length).size() + rest;
    }
    return fmt::format("{} {}={}\n", length, key, value);
}

std::string pax_member(const std::string& records, char type) {
    return tar_member({.name = "pax", .type = type, .content = records});
}

std::string tar_end() {
    return std::string(1024, '\0');
}

}  // namespace drunner::test
