#include "backup/foreign_tar.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "backup_fixture.hpp"
#include "fakes/tar_text.hpp"

using namespace drunner;
using namespace drunner::test;

namespace {

// Hands the text over in small pieces.
ByteSource source_of(std::string text) {
    return [text = std::move(text), at = std::size_t{0}](std::span<std::byte> buffer) mutable {
        const std::size_t part = std::min({buffer.size(), text.size() - at, std::size_t{700}});
        std::memcpy(buffer.data(), text.data() + at, part);
        at += part;
        return part;
    };
}

std::vector<TarEntry> entries_of(const std::string& text) {
    ForeignTar tar(source_of(text), "a test");
    std::vector<TarEntry> entries;
    while (auto entry = tar.next()) {
        entries.push_back(std::move(*entry));
    }
    return entries;
}

// The file as it would be written.
std::string content_of(ContentSource& source, std::uint64_t size) {
    std::string content(size, '\0');
    for (auto part = source.content(); !part.bytes.empty(); part = source.content()) {
        content.replace(part.offset, part.bytes.size(), as_text(part.bytes));
    }
    return content;
}

std::string error_in(const std::string& text) {
    return error_of([&] {
        ForeignTar tar(source_of(text), "a test");
        while (const auto entry = tar.next()) {
            while (!tar.content().bytes.empty()) {
            }
        }
    });
}

// GNU tar's way to say a name that does not fit its field.
std::string long_name(const std::string& name, char type = 'L') {
    return tar_member({.name = "././@LongLink", .type = type, .content = name + '\0'});
}

std::string sparse_member(const std::string& map, const std::string& size,
                          const std::string& content) {
    std::string padded = map;
    padded.resize((map.size() + 511) / 512 * 512, '\0');
    return pax_member(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                      pax_record("GNU.sparse.name", "s") +
                      pax_record("GNU.sparse.realsize", size)) +
           tar_member({.name = "GNUSparseFile.0/s", .content = padded + content});
}

}  // namespace

TEST_CASE("members of a foreign tar come out relative, with numbers for owners") {
    const auto entries =
        entries_of(tar_member({.name = "./", .type = '5', .mode = 0755}) +
                   tar_member({.name = ".//a/./b/", .type = '5', .mode = 02770, .uid = 22022}) +
                   tar_member({.name = "a/b/f", .content = "text", .mode = 04751, .gid = 9}) +
                   tar_member({.name = "./h", .type = '1', .link = "./a/b/f"}) +
                   tar_member({.name = "l", .type = '2', .link = "../any/where"}) + tar_end());
    REQUIRE(entries.size() == 5);
    CHECK(entries[0].path.empty());
    CHECK(entries[0].type == TarType::directory);
    CHECK(entries[1].path == "a/b");
    CHECK(entries[1].mode == 02770);
    CHECK(entries[1].uid == 22022);
    CHECK(entries[2].path == "a/b/f");
    CHECK(entries[2].size == 4);
    CHECK(entries[2].mode == 04751);
    CHECK(entries[2].gid == 9);
    CHECK(entries[3].type == TarType::hard_link);
    CHECK(entries[3].target == "a/b/f");
    CHECK(entries[4].target == "../any/where");
}

TEST_CASE("long names of GNU tar and of pax, in any bytes") {
    const std::string name(300, 'n');
    const std::string latin = "caf\xe9";
    const std::string utf8 = "caf\xc3\xa9";
    const auto entries = entries_of(
        long_name("./" + name) + tar_member({.name = "short", .content = "1"}) +
        long_name("./" + name, 'K') + tar_member({.name = "link", .type = '2', .link = "short"}) +
        tar_member({.name = latin}) + pax_member(pax_record("path", utf8)) +
        tar_member({.name = "x"}) + tar_end());
    REQUIRE(entries.size() == 4);
    CHECK(entries[0].path == name);
    CHECK(entries[1].target == "./" + name);
    CHECK(entries[2].path == latin);
    CHECK(entries[3].path == utf8);
}

TEST_CASE("sparse files of GNU tar have their holes") {
    const auto whole = [](const std::string& member) {
        ForeignTar tar(source_of(member + tar_end()), "a test");
        const auto entry = tar.next();
        REQUIRE(entry);
        CHECK(entry->path == "s");
        const std::string content = content_of(tar, entry->size);
        CHECK_FALSE(tar.next());
        return content;
    };
    CHECK(whole(sparse_member("2\n1000\n3\n2000\n0\n", "2000", "abc")) ==
          std::string(1000, '\0') + "abc" + std::string(997, '\0'));
    CHECK(whole(sparse_member("1\n5000\n0\n", "5000", "")) == std::string(5000, '\0'));
}

TEST_CASE("a foreign tar that ends too early is damaged, also between two members") {
    const std::string member = tar_member({.name = "a", .content = std::string(600, '\0')});
    CHECK(error_in(member + tar_end()) == "no error");
    CHECK(error_in(member + std::string(512, '\0')) == "no error");
    CHECK(error_in(member + tar_end() + std::string(9000, '\0')) == "no error");
    for (const std::size_t size : {member.size(), member.size() - 512, std::size_t{700},
                                   std::size_t{512}, std::size_t{100}, std::size_t{0}}) {
        CAPTURE(size);
        CHECK(error_in(member.substr(0, size)).starts_with("archive-damaged"));
    }
    CHECK(error_in(std::string(2000, 'x')).starts_with("archive-damaged"));
}

TEST_CASE("a failure of the source comes out as it is") {
    for (const std::size_t good : {std::size_t{0}, std::size_t{512}, std::size_t{1100}}) {
        const std::string text = tar_member({.name = "a", .content = std::string(5000, 'a')});
        std::size_t at = 0;
        ForeignTar* reader = nullptr;
        CHECK(error_of([&] {
                  ForeignTar tar(
                      [&](std::span<std::byte> buffer) -> std::size_t {
                          if (at >= good) {
                              throw Error(ErrorKind::interrupted, "stopped");
                          }
                          const std::size_t part = std::min(buffer.size(), good - at);
                          std::memcpy(buffer.data(), text.data() + at, part);
                          at += part;
                          return part;
                      },
                      "a test");
                  reader = &tar;
                  while (reader->next()) {
                      while (!reader->content().bytes.empty()) {
                      }
                  }
              }).starts_with("interrupted"));
    }
}

TEST_CASE("what stands before a member's content is bounded") {
    std::string map = "2000000\n";
    for (int i = 0; i < 2'000'000; ++i) {
        map += "0\n0\n";
    }
    const std::string error = error_in(sparse_member(map, "0", "") + tar_end());
    CHECK(error.starts_with("archive-damaged"));
    CHECK(error.find("4") != std::string::npos);
    // Content may be longer than that.
    const std::string large(std::size_t{5} << 20U, 'c');
    CHECK(error_in(tar_member({.name = "a", .content = large}) + tar_member({.name = "b"}) +
                   tar_end()) == "no error");
    CHECK(entries_of(tar_member({.name = "a", .content = large}) + tar_member({.name = "b"}) +
                     tar_end())
              .size() == 2);
}

TEST_CASE("paths that lead elsewhere, and owners that no system has, are refused") {
    CHECK(error_in(tar_member({.name = "/etc/passwd"}) + tar_end()).starts_with("archive-refused"));
    CHECK(error_in(tar_member({.name = "a/../../b"}) + tar_end()).starts_with("archive-refused"));
    CHECK(error_in(tar_member({.name = "a", .type = '1', .link = "/etc/passwd"}) + tar_end())
              .starts_with("archive-refused"));
    CHECK(error_in(tar_member({.name = "a", .type = '2'}) + tar_end())
              .starts_with("archive-damaged"));
    CHECK(error_in(long_name(std::string(5000, 'x'), 'K') +
                   tar_member({.name = "a", .type = '2', .link = "x"}) + tar_end())
              .starts_with("archive-damaged"));
    CHECK(error_in(pax_member(pax_record("uid", "4294967295")) + tar_member({.name = "a"}) +
                   tar_end())
              .starts_with("archive-damaged"));
}
