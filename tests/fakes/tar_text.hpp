#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace drunner::test {

// One member of a tar archive (ustar), written as told and without any judgement, so that tests can
// make archives that no honest program writes.
struct TarMember {
    std::string name = {};
    char type = '0';
    std::string content = {};
    std::string link = {};
    unsigned mode = 0644;
    unsigned uid = 0;
    unsigned gid = 0;
    std::string size = {};  // the size field's text where it must differ from the content's
    unsigned device_major = 0;
    unsigned device_minor = 0;
};

// The 512-byte header with a right checksum.
std::string tar_header(const TarMember& member);
// The same block with the checksum that fits it.
std::string with_checksum(std::string block);
// Header, content and padding.
std::string tar_member(const TarMember& member);
// A pax record "LENGTH KEY=VALUE\n".
std::string pax_record(std::string_view key, std::string_view value);
// An 'x' member (or 'g') that carries records.
std::string pax_member(const std::string& records, char type = 'x');
// The two zero blocks.
std::string tar_end();

}  // namespace drunner::test
