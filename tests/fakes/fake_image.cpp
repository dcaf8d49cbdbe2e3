#include "fakes/fake_image.hpp"

#include <fmt/format.h>

namespace drunner::test {

std::string fake_digest(std::string_view text) {
    std::string digest = "sha256:";
    for (std::uint64_t lane = 1; lane <= 4; ++lane) {
        std::uint64_t hash = 0xcbf29ce484222325ULL * lane;  // FNV-1a
        for (const char c : text) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        }
        digest += fmt::format("{:016x}", hash);
    }
    return digest;
}

std::string fake_image_id(const FakeImage& image) {
    std::string text = image.user + '\n';
    const auto add = [&](std::string_view part) {
        text += fmt::format("{}:{}\n", part.size(), part);
    };
    for (const auto* words :
         {&image.entrypoint, &image.command, &image.environment, &image.volumes}) {
        text += '[';
        for (const std::string& word : *words) {
            add(word);
        }
    }
    for (const auto& [key, value] : image.labels) {
        add(key);
        add(value);
    }
    for (const auto& [path, file] : image.files) {
        add(path);
        add(file.content);
        text += fmt::format("{} {} {} {}\n", file.mode, file.uid, file.gid,
                            static_cast<int>(file.type));
    }
    text += image.has_healthcheck ? 'h' : '-';
    return fake_digest(text);
}

}  // namespace drunner::test
