#include "service/image_cache.hpp"

#include <doctest/doctest.h>

#include "unit/host/scratch.hpp"

using namespace drunner;
using drunner::test::Scratch;

namespace {

std::string id_of(char digit) {
    return "sha256:" + std::string(64, digit);
}

CachedImage an_image() {
    return {{{"servicecfg.sh", {"VOLUMES=()\n", false}},
             {"servicerunner", {std::string("#!/bin/bash\n\0\xff", 14), true}},
             {"lib/\xc3\xa4", {"", false}}},
            {1000, 1001}};
}

}  // namespace

TEST_CASE("what was read out of an image comes back by its id, to the byte") {
    const Scratch scratch;
    const ImageCache cache{Paths(scratch.path())};
    CHECK_FALSE(cache.find(id_of('a')));
    cache.keep(id_of('a'), an_image());
    const auto found = cache.find(id_of('a'));
    REQUIRE(found);
    CHECK(found->user.uid == 1000);
    CHECK(found->user.gid == 1001);
    REQUIRE(found->files.size() == 3);
    for (const auto& [path, file] : an_image().files) {
        CHECK(found->files.at(path).content == file.content);
        CHECK(found->files.at(path).executable == file.executable);
    }
    CHECK_FALSE(cache.find(id_of('b')));
}

TEST_CASE("a damaged file of the cache is as good as none") {
    const Scratch scratch;
    const Paths paths(scratch.path());
    const ImageCache cache(paths);
    cache.keep(id_of('a'), an_image());
    const std::string file = paths.images() + "/" + std::string(64, 'a');
    const std::string whole = read_file(file);
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        write_file(file, damaged);
        CHECK_FALSE(cache.find(id_of('a')));
        write_file(file, whole.substr(0, at));
        CHECK_FALSE(cache.find(id_of('a')));
    }
    write_file(file, whole);
    CHECK(cache.find(id_of('a')));
}

TEST_CASE("only image ids have a place in the cache") {
    const Scratch scratch;
    const Paths paths(scratch.path());
    const ImageCache cache(paths);
    for (const std::string& id :
         {std::string("blog"), std::string("sha256:../../etc"), "sha256:" + std::string(64, 'G'),
          "sha256:" + std::string(63, 'a')}) {
        cache.keep(id, an_image());
        CHECK_FALSE(cache.find(id));
    }
    CHECK(directory_entries(paths.images()).empty());
}

TEST_CASE("the cache stays small") {
    const Scratch scratch;
    const Paths paths(scratch.path());
    const ImageCache cache(paths);
    cache.keep(id_of('a'), {{{"large", {std::string(ImageCache::most_bytes, 'x'), false}}}, {}});
    CHECK_FALSE(cache.find(id_of('a')));
    for (std::size_t number = 0; number <= ImageCache::most_images; ++number) {
        std::string id = id_of('0');
        id.replace(id.size() - 2, 2,
                   {static_cast<char>('a' + static_cast<int>(number / 16)),
                    "0123456789abcdef"[number % 16]});
        cache.keep(id, an_image());
    }
    CHECK(directory_entries(paths.images()).size() == ImageCache::most_images);
}
