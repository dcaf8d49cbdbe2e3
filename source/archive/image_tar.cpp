#include "archive/image_tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::size_t block_size = 512;
constexpr std::uint64_t json_limit = std::uint64_t{16} << 20U;
constexpr std::uint64_t pax_limit = std::uint64_t{1} << 20U;
constexpr std::size_t pass_size = std::size_t{256} * 1024;

// Offsets and lengths in a POSIX.1-1988 header.
constexpr std::size_t name_length = 100;
constexpr std::size_t size_offset = 124;
constexpr std::size_t size_length = 12;
constexpr std::size_t checksum_offset = 148;
constexpr std::size_t checksum_length = 8;
constexpr std::size_t type_offset = 156;
constexpr std::size_t prefix_offset = 345;
constexpr std::size_t prefix_length = 155;

[[noreturn]] void refuse(const std::string& why) {
    throw Error(ErrorKind::archive_refused, "the image in the backup is refused: " + why);
}

std::string field(const std::string& header, std::size_t offset, std::size_t length) {
    const std::string text = header.substr(offset, length);
    return text.substr(0, text.find('\0'));
}

std::uint64_t size_of(const std::string& header) {
    std::uint64_t size = 0;
    const std::string digits = field(header, size_offset, size_length);
    for (const char c : trim(digits)) {
        if (c < '0' || c > '7') {
            refuse("a size in it is no octal number");
        }
        size = size * 8 + static_cast<std::uint64_t>(c - '0');
    }
    return size;
}

std::uint64_t padded(std::uint64_t size) {
    return (size + block_size - 1) / block_size * block_size;
}

// The parts of the member's path.
std::vector<std::string> path_of(const std::string& header) {
    std::vector<std::string> parts;
    const std::string path =
        field(header, prefix_offset, prefix_length) + "/" + field(header, 0, name_length);
    for (const std::string& part : split(path, '/')) {
        if (part == "..") {
            refuse("a path in it leads up");
        }
        if (!part.empty() && part != ".") {
            parts.push_back(part);
        }
    }
    return parts;
}

std::string without_names(const std::string& text) {
    json document = json::parse(text, nullptr, false);
    if (document.is_array()) {
        for (json& image : document) {
            if (image.is_object()) {
                image["RepoTags"] = nullptr;
            }
        }
    } else if (document.is_object() && document.contains("manifests") &&
               document["manifests"].is_array()) {
        for (json& manifest : document["manifests"]) {
            if (manifest.is_object()) {
                manifest.erase("annotations");
            }
        }
    } else {
        refuse("its list of images cannot be read");
    }
    return document.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string with_size(std::string header, std::size_t size) {
    const std::string octal = fmt::format("{:011o}", size);
    std::copy(octal.begin(), octal.end(), header.begin() + size_offset);
    header[size_offset + size_length - 1] = '\0';
    std::fill_n(header.begin() + checksum_offset, checksum_length, ' ');
    unsigned sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    const std::string digits = fmt::format("{:06o}", sum);
    std::copy(digits.begin(), digits.end(), header.begin() + checksum_offset);
    header[checksum_offset + digits.size()] = '\0';
    return header;
}

class NamelessImage {
  public:
    explicit NamelessImage(ByteSource source) : source_(std::move(source)) {}

    std::size_t read(std::span<std::byte> buffer) {
        while (used_ == ready_.size()) {
            ready_.clear();
            used_ = 0;
            if (!fill()) {
                return 0;
            }
        }
        const std::size_t count = std::min(buffer.size(), ready_.size() - used_);
        std::memcpy(buffer.data(), ready_.data() + used_, count);
        used_ += count;
        return count;
    }

  private:
    // Puts what comes next into ready_; false at the end. It may be nothing.
    bool fill() {
        if (passing_ > 0) {
            ready_ = take(std::min<std::uint64_t>(passing_, pass_size));
            passing_ -= ready_.size();
            return true;
        }
        if (ended_) {
            ready_.resize(pass_size);
            ready_.resize(source_(std::as_writable_bytes(std::span(ready_))));
            return !ready_.empty();
        }
        std::string header = take(block_size);
        if (header == std::string(block_size, '\0')) {
            ended_ = true;
            ready_ = std::move(header);
            return true;
        }
        member(std::move(header));
        return true;
    }

    void member(std::string header) {
        const std::uint64_t size = size_of(header);
        const char type = header[type_offset];
        if (type == 'x') {
            // Times and owners; a name or a size there would hide the one in the next header.
            if (size > pax_limit) {
                refuse("attributes in it are too large");
            }
            ready_ = header + take(padded(size));
            if (ready_.find("path=") != std::string::npos ||
                ready_.find("size=") != std::string::npos) {
                refuse("a member of it has two names or sizes");
            }
            return;
        }
        if (std::string_view("\0"
                             "01257",
                             6)
                .find(type) == std::string_view::npos) {
            refuse("it has a member of an unusual kind");
        }
        const std::vector<std::string> path = path_of(header);
        const std::string name = path.empty() ? std::string() : path.back();
        if (name != "manifest.json" && name != "index.json" && name != "repositories") {
            ready_ = std::move(header);
            passing_ = padded(size);
            return;
        }
        if (path.size() != 1 || (type != '0' && type != '\0') || size > json_limit) {
            refuse("'" + name + "' in it is not what it should be");
        }
        const std::string text = take(padded(size)).substr(0, size);
        if (name != "repositories") {
            std::string content = without_names(text);
            ready_ = with_size(std::move(header), content.size());
            content.resize(padded(content.size()), '\0');
            ready_ += content;
        }
    }

    std::string take(std::uint64_t size) {
        std::string bytes(size, '\0');
        std::size_t have = 0;
        while (have < bytes.size()) {
            const std::size_t got = source_(std::as_writable_bytes(std::span(bytes).subspan(have)));
            if (got == 0) {
                throw Error(ErrorKind::archive_damaged,
                            "the backup is damaged: the image in it ends early");
            }
            have += got;
        }
        return bytes;
    }

    ByteSource source_;
    std::string ready_;
    std::size_t used_ = 0;
    std::uint64_t passing_ = 0;
    bool ended_ = false;
};

}  // namespace

ByteSource without_image_names(ByteSource image_tar) {
    const auto image = std::make_shared<NamelessImage>(std::move(image_tar));
    return [image](std::span<std::byte> buffer) { return image->read(buffer); };
}

}  // namespace drunner
