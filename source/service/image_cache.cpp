#include "service/image_cache.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "archive/digest.hpp"
#include "core/error.hpp"
#include "host/file.hpp"

namespace drunner {
namespace {

using nlohmann::json;

constexpr std::string_view id_prefix = "sha256:";
constexpr std::size_t hex_digits = 64;

std::vector<std::uint8_t> to_cbor(const CachedImage& image) {
    json files = json::array();
    for (const auto& [path, file] : image.files) {
        files.push_back({{"path", path},
                         {"content", json::binary({file.content.begin(), file.content.end()})},
                         {"executable", file.executable},
                         {"mode", file.mode},
                         {"uid", file.uid},
                         {"gid", file.gid}});
    }
    return json::to_cbor({{"uid", image.user.uid}, {"gid", image.user.gid}, {"files", files}});
}

CachedImage from_cbor(std::string_view text) {
    const json document = json::from_cbor(text);
    CachedImage image;
    document.at("uid").get_to(image.user.uid);
    document.at("gid").get_to(image.user.gid);
    for (const json& file : document.at("files")) {
        const json::binary_t& content = file.at("content").get_binary();
        image.files[file.at("path").get<std::string>()] = {
            std::string(content.begin(), content.end()), file.at("executable").get<bool>(),
            file.at("mode").get<unsigned>(), file.at("uid").get<unsigned>(),
            file.at("gid").get<unsigned>()};
    }
    return image;
}

void forget_oldest(const std::string& directory) {
    std::vector<std::pair<timespec, std::string>> files;
    for (const std::string& name : directory_entries(directory)) {
        struct stat status {};
        if (stat((directory + "/" + name).c_str(), &status) == 0) {
            files.emplace_back(status.st_mtim, directory + "/" + name);
        }
    }
    if (files.size() <= ImageCache::most_images) {
        return;
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
        return std::pair(a.first.tv_sec, a.first.tv_nsec) <
               std::pair(b.first.tv_sec, b.first.tv_nsec);
    });
    files.resize(files.size() - ImageCache::most_images);
    for (const auto& [time, path] : files) {
        remove_tree(path);
    }
}

}  // namespace

ImageCache::ImageCache(const Paths& paths) : directory_(paths.images()) {}

std::string ImageCache::file_of(const std::string& image_id) const {
    if (!image_id.starts_with(id_prefix) || image_id.size() != id_prefix.size() + hex_digits ||
        image_id.find_first_not_of("0123456789abcdef", id_prefix.size()) != std::string::npos) {
        return "";
    }
    return directory_ + "/" + image_id.substr(id_prefix.size());
}

std::optional<CachedImage> ImageCache::find(const std::string& image_id) const {
    const std::string path = file_of(image_id);
    if (path.empty() || !exists(path)) {
        return std::nullopt;
    }
    try {
        const std::string text = read_file(path);
        if (text.size() <= hex_digits) {
            return std::nullopt;
        }
        const std::string_view body = std::string_view(text).substr(hex_digits);
        if (sha256_hex(as_bytes(body)) != text.substr(0, hex_digits)) {
            return std::nullopt;
        }
        return from_cbor(body);
    } catch (const Error&) {
        return std::nullopt;  // removed by another drunner just now
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

void ImageCache::keep(const std::string& image_id, const CachedImage& image) const {
    const std::string path = file_of(image_id);
    const std::vector<std::uint8_t> body = to_cbor(image);
    if (path.empty() || body.size() > most_bytes) {
        return;
    }
    const std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
    try {
        make_directories(directory_, 0700);
        write_file(path, sha256_hex(as_bytes(text)) + std::string(text));
        forget_oldest(directory_);
    } catch (const Error&) {
        return;
    }
}

}  // namespace drunner
