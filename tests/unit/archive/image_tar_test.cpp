#include "archive/image_tar.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/error.hpp"
#include "fakes/tar.hpp"
#include "host/file.hpp"

namespace drunner::test {
namespace {

ByteSource source_of(std::string text) {
    return [text = std::move(text), at = std::size_t{0}](std::span<std::byte> buffer) mutable {
        // Odd pieces: blocks come in parts.
        const std::size_t count = std::min({buffer.size(), text.size() - at, std::size_t{77}});
        std::copy_n(as_bytes(text).begin() + static_cast<std::ptrdiff_t>(at), count,
                    buffer.begin());
        at += count;
        return count;
    };
}

std::string filtered(const std::string& tar) {
    const ByteSource source = without_image_names(source_of(tar));
    std::string result;
    std::vector<std::byte> buffer(1000);
    for (std::size_t got = source(buffer); got > 0; got = source(buffer)) {
        result += as_text(Bytes(buffer).first(got));
    }
    return result;
}

}  // namespace

TEST_CASE("an image's tar loses its names, and keeps the rest") {
    const std::string layer(5000, 'l');
    const std::string tar = packed({
        {"0123/layer.tar", {layer}},
        {"manifest.json", {R"([{"Config":"c.json","RepoTags":["evil:1"],"Layers":["a"]}])"}},
        {"index.json",
         {R"({"manifests":[{"digest":"d","annotations":{"io.containerd.image.name":"evil:2"}}]})"}},
        {"repositories", {R"({"evil":{"3":"id"}})"}},
        {"c.json", {"{}"}},
    });
    const std::string result = filtered(tar);
    CHECK(result.find("evil") == std::string::npos);
    CHECK(result.find("repositories") == std::string::npos);
    CHECK(result.find(layer) != std::string::npos);
    CHECK(result.find(R"([{"Config":"c.json","Layers":["a"],"RepoTags":null}])") !=
          std::string::npos);
    CHECK(result.size() % 512 == 0);
    // Stock tar takes the rewritten headers.
    const std::string file = "/tmp/drunner-image-tar-" + random_id();
    create_file(file, result);
    CHECK(std::system(("tar -tf " + file + " >/dev/null 2>&1").c_str()) == 0);
    remove_tree(file);
}

TEST_CASE("what could bring a name past the filter is refused") {
    CHECK_THROWS_AS(filtered(packed({{"a/manifest.json", {"[]"}}})), Error);
    CHECK_THROWS_AS(filtered(packed({{"a/../manifest.json", {"[]"}}})), Error);
    CHECK_THROWS_AS(filtered(packed({{"manifest.json", {"no json"}}})), Error);
    FakeFile link{"other", 0777};
    link.type = FakeFile::Type::symlink;
    CHECK_THROWS_AS(filtered(packed({{"manifest.json", link}})), Error);
    CHECK_THROWS_AS(filtered(packed({{"a", {"x"}}}).substr(0, 700)), Error);
}

}  // namespace drunner::test
