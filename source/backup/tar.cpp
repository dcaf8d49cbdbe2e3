#include "backup/tar.hpp"

#include <fmt/format.h>
#include <limits.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <string_view>

#include "backup/acl_text.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

// Where a field of the ustar header stands.
struct Field {
    std::size_t offset;
    std::size_t size;
};
constexpr Field name_field{0, 100};
constexpr Field mode_field{100, 8};
constexpr Field uid_field{108, 8};
constexpr Field gid_field{116, 8};
constexpr Field size_field{124, 12};
constexpr Field mtime_field{136, 12};
constexpr Field checksum_field{148, 8};
constexpr Field type_field{156, 1};
constexpr Field target_field{157, 100};
constexpr Field magic_field{257, 8};
constexpr Field major_field{329, 8};
constexpr Field minor_field{337, 8};
constexpr Field prefix_field{345, 155};

constexpr std::string_view magic("ustar\00000", 8);
constexpr std::string_view attribute_key = "SCHILY.xattr.";
constexpr std::string_view acl_access_key = "SCHILY.acl.access";
constexpr std::string_view acl_default_key = "SCHILY.acl.default";
constexpr std::string_view time_digits = "000000000";

// Names, links and attributes of one member; Linux gives an inode 64 KiB of attributes on most
// file systems.
constexpr std::uint64_t pax_limit = std::uint64_t{4} << 20U;
constexpr std::size_t extent_limit = std::size_t{1} << 20U;

struct TypeRow {
    TarType type;
    char flag;
};
constexpr std::array types{
    TypeRow{TarType::file, '0'},        TypeRow{TarType::directory, '5'},
    TypeRow{TarType::symlink, '2'},     TypeRow{TarType::hard_link, '1'},
    TypeRow{TarType::fifo, '6'},        TypeRow{TarType::character_device, '3'},
    TypeRow{TarType::block_device, '4'}};

[[noreturn]] void damaged(std::string_view why) {
    throw Error(ErrorKind::archive_damaged, fmt::format("the backup is damaged: {}", why));
}

bool is_utf8(std::string_view text) {
    // printable() shows what is no UTF-8 as \xNN, and control characters, which are fine here.
    std::string plain(text);
    for (char& c : plain) {
        c = (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') ? ' ' : c;
    }
    return printable(plain) == plain;
}

void put(std::string& block, Field field, std::string_view text) {
    block.replace(field.offset, std::min(field.size, text.size()), text.substr(0, field.size));
}

// Octal with a NUL behind it; false where it does not fit.
bool put_number(std::string& block, Field field, std::uint64_t number) {
    const std::string digits = fmt::format("{:0{}o}", number, field.size - 1);
    if (digits.size() >= field.size) {
        return false;
    }
    put(block, field, digits);
    return true;
}

std::string record(std::string_view key, std::string_view value) {
    // The length counts its own digits.
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest > length) {
        ++length;
    }
    return fmt::format("{} {}={}\n", length, key, value);
}

std::string time_text(std::int64_t seconds, std::uint32_t nanoseconds) {
    if (seconds < 0 && nanoseconds > 0) {
        return fmt::format("-{}.{:09}", -(seconds + 1), 1'000'000'000U - nanoseconds);
    }
    return fmt::format("{}.{:09}", seconds, nanoseconds);
}

// GNU tar's escapes for the two characters that a keyword cannot hold.
std::string escaped(std::string_view name) {
    std::string text;
    for (const char c : name) {
        text += c == '%' ? "%25" : c == '=' ? "%3D" : std::string(1, c);
    }
    return text;
}

std::string unescaped(std::string_view text) {
    std::string name;
    while (!text.empty()) {
        const bool percent = text.starts_with("%25");
        const bool equals = text.starts_with("%3D");
        name += percent ? '%' : equals ? '=' : text.front();
        text.remove_prefix(percent || equals ? 3 : 1);
    }
    return name;
}

void pad(std::string& text) {
    text.resize(text.size() + tar_padding(text.size()), '\0');
}

std::string sparse_map(const std::vector<TarExtent>& extents) {
    std::string map = fmt::format("{}\n", extents.size());
    for (const TarExtent& extent : extents) {
        map += fmt::format("{}\n{}\n", extent.offset, extent.length);
    }
    pad(map);
    return map;
}

// Puts the name into name and prefix; false where it does not fit.
bool put_name(std::string& block, const std::string& name) {
    if (name.size() <= name_field.size) {
        put(block, name_field, name);
        return true;
    }
    if (name.size() > name_field.size + prefix_field.size + 1) {
        return false;
    }
    const std::size_t slash = name.find('/', name.size() - name_field.size - 1);
    if (slash == std::string::npos || slash == 0 || slash > prefix_field.size ||
        slash + 1 == name.size()) {
        return false;
    }
    put(block, prefix_field, std::string_view(name).substr(0, slash));
    put(block, name_field, std::string_view(name).substr(slash + 1));
    return true;
}

unsigned checksum_of(std::string_view block) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool own =
            i >= checksum_field.offset && i < checksum_field.offset + checksum_field.size;
        sum += own ? static_cast<unsigned>(' ') : static_cast<unsigned char>(block[i]);
    }
    return sum;
}

void put_checksum(std::string& block) {
    put(block, checksum_field, fmt::format("{:06o}", checksum_of(block)) + std::string("\0 ", 2));
}

std::string pax_blocks(std::string records) {
    std::string block(tar_block, '\0');
    put(block, name_field, "PaxHeaders/member");
    put_number(block, mode_field, 0600);
    put_number(block, uid_field, 0);
    put_number(block, gid_field, 0);
    put_number(block, size_field, records.size());
    put_number(block, mtime_field, 0);
    put(block, type_field, "x");
    put(block, magic_field, magic);
    put_checksum(block);
    pad(records);
    return block + records;
}

std::string attribute_records(const TarEntry& entry, AclRecords acls) {
    std::string records;
    for (const auto& [name, value] : entry.attributes) {
        if (acls == AclRecords::text &&
            (name == acl_access_attribute || name == acl_default_attribute)) {
            if (const auto text = acl_to_text(value)) {
                records +=
                    record(name == acl_access_attribute ? acl_access_key : acl_default_key, *text);
            }
        } else {
            records += record(std::string(attribute_key) + escaped(name), value);
        }
    }
    return records;
}

std::string_view field_text(std::string_view block, Field field) {
    const std::string_view text = block.substr(field.offset, field.size);
    return text.substr(0, text.find('\0'));
}

std::uint64_t field_number(std::string_view block, Field field) {
    std::string_view text = field_text(block, field);
    while (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    while (text.ends_with(' ')) {
        text.remove_suffix(1);
    }
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 8);
    // Without a digit, an empty field: zero.
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) {
        damaged("a number in a member's header is malformed");
    }
    return number;
}

std::uint64_t decimal(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        damaged("a number in a member's pax header is malformed");
    }
    return number;
}

std::uint32_t identifier(std::uint64_t number) {
    // The largest number means "leave it" to chown, which would leave the file root's.
    if (number >= UINT32_MAX) {
        damaged("an owner is out of range");
    }
    return static_cast<std::uint32_t>(number);
}

void parse_time(std::string_view text, TarEntry& entry) {
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::uint64_t seconds = decimal(text.substr(0, dot));
    std::uint64_t nanoseconds = 0;
    if (dot < text.size()) {
        std::string digits(text.substr(dot + 1, time_digits.size()));
        digits.resize(time_digits.size(), '0');
        nanoseconds = decimal(digits);
    }
    if (seconds > static_cast<std::uint64_t>(INT64_MAX) - 1) {
        damaged("a time is out of range");
    }
    entry.mtime_seconds = static_cast<std::int64_t>(seconds);
    entry.mtime_nanoseconds = static_cast<std::uint32_t>(nanoseconds);
    if (negative) {
        entry.mtime_seconds = -entry.mtime_seconds;
        if (nanoseconds > 0) {
            --entry.mtime_seconds;
            entry.mtime_nanoseconds = static_cast<std::uint32_t>(1'000'000'000U - nanoseconds);
        }
    }
}

std::map<std::string, std::string> parse_records(std::string_view text) {
    std::map<std::string, std::string> records;
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        const std::uint64_t length =
            space > 10 ? 0 : decimal(text.substr(0, std::min(space, text.size())));
        if (length < space + 3 || length > text.size() || text[length - 1] != '\n') {
            damaged("a member's pax header is malformed");
        }
        const std::string_view body = text.substr(space + 1, length - space - 2);
        const std::size_t equals = body.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            damaged("a member's pax header is malformed");
        }
        if (!records.emplace(body.substr(0, equals), body.substr(equals + 1)).second) {
            damaged("a member's pax header says something twice");
        }
        text.remove_prefix(length);
    }
    return records;
}

std::string acl_value(const std::string& text) {
    const auto value = acl_from_text(text);
    if (!value) {
        damaged(fmt::format("the access control list '{}' is malformed", printable(text)));
    }
    return *value;
}

// What no kernel takes is no attribute.
void require_attribute(const std::string& name, const std::string& value) {
    if (name.empty() || name.size() > XATTR_NAME_MAX || value.size() > XATTR_SIZE_MAX) {
        damaged("an extended attribute is out of range");
    }
}

void require_target(const TarEntry& entry) {
    const bool is_link = entry.type == TarType::symlink || entry.type == TarType::hard_link;
    const bool too_long = entry.type == TarType::symlink && entry.target.size() >= PATH_MAX;
    if (is_link && (entry.target.empty() || too_long)) {
        damaged(fmt::format("the link '{}' leads to no path", printable(entry.path)));
    }
}

void require_no_nul(const std::string& text) {
    if (text.find('\0') != std::string::npos) {
        damaged("a name has a NUL in it");
    }
}

}  // namespace

std::uint64_t stored_size(const TarEntry& entry) {
    if (entry.type != TarType::file) {
        return 0;
    }
    if (!entry.sparse) {
        return entry.size;
    }
    std::uint64_t size = 0;
    for (const TarExtent& extent : entry.extents) {
        size += extent.length;
    }
    return size;
}

std::string encode_tar_header(const TarEntry& entry, AclRecords acls) {
    std::string block(tar_block, '\0');
    std::string names;
    std::string records;
    std::string path = entry.path;
    std::string map;
    if (entry.type == TarType::directory) {
        path += '/';
    }
    if (entry.sparse) {
        map = sparse_map(entry.extents);
        records += record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
                   record("GNU.sparse.name", path) +
                   record("GNU.sparse.realsize", std::to_string(entry.size));
        // A reader that knows nothing of sparse files makes this one, so as not to be mistaken.
        const std::size_t slash = path.rfind('/');
        path.insert(slash == std::string::npos ? 0 : slash + 1, "GNUSparseFile.0/");
    }
    if (!put_name(block, path)) {
        names += record("path", path);
        put(block, name_field, path);
    }
    if (entry.target.size() > target_field.size) {
        names += record("linkpath", entry.target);
    }
    put(block, target_field, entry.target);
    if (!names.empty() && !is_utf8(names)) {
        names.insert(0, record("hdrcharset", "BINARY"));
    }
    records.insert(0, names);
    put_number(block, mode_field, entry.mode);
    if (!put_number(block, uid_field, entry.uid)) {
        records += record("uid", std::to_string(entry.uid));
        put_number(block, uid_field, 0);
    }
    if (!put_number(block, gid_field, entry.gid)) {
        records += record("gid", std::to_string(entry.gid));
        put_number(block, gid_field, 0);
    }
    const std::uint64_t size = map.size() + stored_size(entry);
    if (!put_number(block, size_field, size)) {
        records += record("size", std::to_string(size));
        put_number(block, size_field, 0);
    }
    const bool whole_time =
        entry.mtime_nanoseconds == 0 && entry.mtime_seconds >= 0 &&
        put_number(block, mtime_field, static_cast<std::uint64_t>(entry.mtime_seconds));
    if (!whole_time) {
        records += record("mtime", time_text(entry.mtime_seconds, entry.mtime_nanoseconds));
        put_number(block, mtime_field,
                   static_cast<std::uint64_t>(
                       std::clamp<std::int64_t>(entry.mtime_seconds, 0, 077777777777)));
    }
    for (const TypeRow& row : types) {
        if (row.type == entry.type) {
            put(block, type_field, std::string_view(&row.flag, 1));
        }
    }
    put(block, magic_field, magic);
    put_number(block, major_field, entry.device_major);
    put_number(block, minor_field, entry.device_minor);
    put_checksum(block);
    records += attribute_records(entry, acls);
    if (records.size() > pax_limit) {
        throw Error(ErrorKind::system, fmt::format("'{}' has more than {} of extended attributes",
                                                   printable(entry.path), human_size(pax_limit)));
    }
    std::string blocks = records.empty() ? std::string() : pax_blocks(std::move(records));
    return blocks.append(block).append(map);
}

Bytes WholeContent::next() {
    static constexpr std::array<std::byte, std::size_t{64} * 1024> zeros{};
    if (left_ == 0) {
        return {};
    }
    if (part_.bytes.empty() && !ended_) {
        part_ = source_.content();
        ended_ = part_.bytes.empty();
    }
    Bytes bytes = part_.bytes;
    if (ended_ || part_.offset > position_) {
        const std::uint64_t hole = ended_ ? left_ : part_.offset - position_;
        bytes = Bytes(zeros).first(std::min<std::uint64_t>({zeros.size(), hole, left_}));
    } else {
        part_.bytes = {};
    }
    position_ += bytes.size();
    left_ -= std::min<std::uint64_t>(left_, bytes.size());
    return bytes;
}

struct TarReader::Records {
    std::map<std::string, std::string> values;

    const std::string* find(const std::string& key) const {
        const auto found = values.find(key);
        return found == values.end() ? nullptr : &found->second;
    }

    void apply(TarEntry& entry, std::uint64_t& stored) const {
        if (const std::string* path = find("path")) {
            entry.path = *path;
        }
        if (const std::string* target = find("linkpath")) {
            entry.target = *target;
        }
        if (const std::string* uid = find("uid")) {
            entry.uid = identifier(decimal(*uid));
        }
        if (const std::string* gid = find("gid")) {
            entry.gid = identifier(decimal(*gid));
        }
        if (const std::string* size = find("size")) {
            stored = decimal(*size);
        }
        if (const std::string* time = find("mtime")) {
            parse_time(*time, entry);
        }
        for (const auto& [key, value] : values) {
            if (key.starts_with(attribute_key)) {
                entry.attributes.emplace_back(unescaped(key.substr(attribute_key.size())), value);
                require_no_nul(entry.attributes.back().first);
                require_attribute(entry.attributes.back().first, value);
            } else if (key == acl_access_key) {
                entry.attributes.emplace_back(acl_access_attribute, acl_value(value));
            } else if (key == acl_default_key) {
                entry.attributes.emplace_back(acl_default_attribute, acl_value(value));
            } else if (key.starts_with("GNU.sparse.") && !is_sparse()) {
                throw Error(ErrorKind::archive_refused,
                            "the backup has a sparse file in an old form of GNU tar");
            }
        }
    }

    bool is_sparse() const {
        const std::string* major = find("GNU.sparse.major");
        const std::string* minor = find("GNU.sparse.minor");
        return major != nullptr && minor != nullptr && *major == "1" && *minor == "0" &&
               find("GNU.sparse.name") != nullptr && find("GNU.sparse.realsize") != nullptr;
    }
};

void TarReader::need() {
    if (block_.empty()) {
        block_ = source_();
        if (block_.empty()) {
            damaged("it ends too early");
        }
    }
}

void TarReader::read_exactly(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        need();
        const std::size_t part = std::min(bytes.size(), block_.size());
        std::memcpy(bytes.data(), block_.data(), part);
        bytes = bytes.subspan(part);
        block_ = block_.subspan(part);
    }
}

// False for a block of zeros.
bool TarReader::read_block(std::array<std::byte, tar_block>& block) {
    read_exactly(block);
    return std::any_of(block.begin(), block.end(), [](std::byte b) { return b != std::byte{0}; });
}

std::string TarReader::read_text(std::uint64_t size) {
    std::string text(size, '\0');
    read_exactly(std::as_writable_bytes(std::span(text)));
    return text;
}

void TarReader::finish_archive() {
    std::array<std::byte, tar_block> block{};
    bool zeros = !read_block(block);
    while (zeros) {
        if (block_.empty() && (block_ = source_()).empty()) {
            ended_ = true;
            return;
        }
        zeros = std::all_of(block_.begin(), block_.end(),
                            [](std::byte b) { return b == std::byte{0}; });
        block_ = {};
    }
    damaged("something follows its end");
}

void TarReader::skip_content() {
    for (std::uint64_t* size : {&left_, &padding_}) {
        while (*size > 0) {
            need();
            const std::uint64_t part = std::min<std::uint64_t>(*size, block_.size());
            block_ = block_.subspan(part);
            *size -= part;
        }
    }
}

std::optional<TarEntry> TarReader::next() {
    skip_content();
    headers_.update(as_bytes(header_));
    header_.clear();
    if (ended_) {
        return std::nullopt;
    }
    Records records;
    bool extended = false;
    while (true) {
        std::array<std::byte, tar_block> bytes{};
        if (!read_block(bytes)) {
            if (extended) {
                damaged("a pax header has no member");
            }
            finish_archive();
            return std::nullopt;
        }
        const std::string_view block = as_text(bytes);
        header_ += block;
        if (field_text(block, magic_field) != "ustar" ||
            block.substr(magic_field.offset, magic_field.size) != magic ||
            field_number(block, checksum_field) != checksum_of(block)) {
            damaged("a member's header is changed");
        }
        std::uint64_t stored = field_number(block, size_field);
        const char flag = block[type_field.offset];
        if (flag == 'x') {
            if (extended || stored > pax_limit) {
                damaged("a member's pax header is malformed");
            }
            const std::string text = read_text(stored + tar_padding(stored));
            header_ += text;
            records.values = parse_records(std::string_view(text).substr(0, stored));
            extended = true;
            continue;
        }
        const auto* const row = std::find_if(types.begin(), types.end(),
                                             [&](const TypeRow& r) { return r.flag == flag; });
        if (row == types.end()) {
            throw Error(ErrorKind::archive_refused,
                        fmt::format("the backup has a member of the unknown type '{}'",
                                    printable(std::string_view(&flag, 1))));
        }
        TarEntry entry;
        entry.type = row->type;
        const std::string_view prefix = field_text(block, prefix_field);
        entry.path = prefix.empty() ? "" : std::string(prefix) + "/";
        entry.path += field_text(block, name_field);
        entry.target = field_text(block, target_field);
        const std::uint64_t mode = field_number(block, mode_field);
        entry.mode = static_cast<mode_t>(mode & 07777U);
        entry.uid = identifier(field_number(block, uid_field));
        entry.gid = identifier(field_number(block, gid_field));
        entry.mtime_seconds = static_cast<std::int64_t>(field_number(block, mtime_field));
        entry.device_major = identifier(field_number(block, major_field));
        entry.device_minor = identifier(field_number(block, minor_field));
        records.apply(entry, stored);
        if (stored > static_cast<std::uint64_t>(INT64_MAX) ||
            (entry.type != TarType::file && stored != 0)) {
            damaged("a member has an impossible size");
        }
        padding_ = tar_padding(stored);
        if (entry.type == TarType::file && records.is_sparse()) {
            entry.path = *records.find("GNU.sparse.name");
            entry.size = decimal(*records.find("GNU.sparse.realsize"));
            read_sparse_map(entry, stored);
        } else {
            entry.size = stored;
            entry.extents.clear();
        }
        require_no_nul(entry.path);
        require_no_nul(entry.target);
        require_target(entry);
        if (entry.type == TarType::directory && entry.path.ends_with('/')) {
            entry.path.pop_back();
        }
        left_ = stored;
        extents_ = entry.sparse ? entry.extents : std::vector{TarExtent{0, stored}};
        extent_ = 0;
        extent_position_ = 0;
        return entry;
    }
}

void TarReader::read_sparse_map(TarEntry& entry, std::uint64_t& stored) {
    std::string text;
    std::size_t position = 0;
    const auto number = [&] {
        std::size_t end = text.find('\n', position);
        while (end == std::string::npos) {
            if (stored < tar_block || text.size() - position > 32) {
                damaged("the map of a sparse file is malformed");
            }
            std::array<std::byte, tar_block> block{};
            read_exactly(block);
            stored -= tar_block;
            text.erase(0, position);
            position = 0;
            text += as_text(block);
            header_ += as_text(block);
            end = text.find('\n');
        }
        const std::uint64_t value =
            decimal(std::string_view(text).substr(position, end - position));
        position = end + 1;
        return value;
    };
    const std::uint64_t count = number();
    if (count > extent_limit) {
        damaged("the map of a sparse file is too long");
    }
    entry.sparse = true;
    std::uint64_t position_in_file = 0;
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        TarExtent extent;
        extent.offset = number();
        extent.length = number();
        if (extent.offset < position_in_file || extent.offset > entry.size ||
            extent.length > entry.size - extent.offset) {
            damaged("the map of a sparse file is malformed");
        }
        position_in_file = extent.offset + extent.length;
        total += extent.length;
        entry.extents.push_back(extent);
    }
    if (total != stored || entry.size > static_cast<std::uint64_t>(INT64_MAX)) {
        damaged("the map of a sparse file does not fit its content");
    }
}

ContentSource::Part TarReader::content() {
    if (left_ == 0) {
        return {};
    }
    while (extent_position_ == extents_[extent_].length) {
        ++extent_;
        extent_position_ = 0;
    }
    need();
    const TarExtent& extent = extents_[extent_];
    const std::uint64_t size =
        std::min<std::uint64_t>(block_.size(), extent.length - extent_position_);
    const Part part{extent.offset + extent_position_, block_.first(size)};
    block_ = block_.subspan(size);
    extent_position_ += size;
    left_ -= size;
    return part;
}

}  // namespace drunner
