#include "host/tree_clone.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.hpp"
#include "fakes/nasty_tree.hpp"
#include "fakes/reflink_disk.hpp"
#include "fakes/scratch_directory.hpp"
#include "fakes/tree_listing.hpp"
#include "host/file.hpp"

namespace drunner::test {

TEST_CASE("a clone equals its original in everything, and stays as it is") {
    const ReflinkDisk disk;
    if (disk.path().empty()) {
        MESSAGE("no XFS can be mounted here: clones are not tested");
        return;
    }
    CHECK(can_clone(disk.path()));
    const std::string from = disk.path() + "/from";
    const std::string to = disk.path() + "/to";
    make_directories(from, 0755);
    make_nasty_tree(from);
    const std::vector<std::string> before = tree_listing(from, {true});
    clone_tree(from, to);
    CHECK(tree_listing(to, {true}) == before);
    CHECK(tree_listing(from, {true}) == before);

    write_file(from + "/plain", "other content");
    CHECK(tree_listing(to, {true}) == before);
    try {
        clone_tree(from, to);
        FAIL("it must not write into something that exists");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::system);
    }
}

TEST_CASE("a file system that does not clone is told before and refused") {
    const ScratchDirectory scratch;
    if (can_clone(scratch.path())) {
        MESSAGE("files are cloned here: the refusal is not tested");
        return;
    }
    const std::string from = scratch.make("from");
    create_file(from + "/file", "content");
    CHECK_THROWS_AS(clone_tree(from, scratch / "to"), Error);
    CHECK_FALSE(can_clone("/nowhere"));
}

TEST_CASE("the size of a tree is that of its content, once, without holes") {
    const ScratchDirectory scratch;
    const std::string tree = scratch.make("tree");
    CHECK(tree_size(tree) == 0);
    create_file(tree + "/a", std::string(10'000, 'a'));
    make_directories(tree + "/b");
    create_file(tree + "/b/c", std::string(500, 'c'));
    CHECK(tree_size(tree) == 10'500);
    REQUIRE(link((tree + "/a").c_str(), (tree + "/b/again").c_str()) == 0);
    REQUIRE(symlink("/etc/passwd", (tree + "/link").c_str()) == 0);
    CHECK(tree_size(tree) == 10'500);
    create_file(tree + "/hole", "");
    REQUIRE(truncate((tree + "/hole").c_str(), 1 << 30) == 0);
    CHECK(tree_size(tree) == 10'500);
}

TEST_CASE("a mount point is told from a directory") {
    CHECK(is_mount_point("/proc"));
    const ScratchDirectory scratch;
    CHECK_FALSE(is_mount_point(scratch.make("directory")));
}

}  // namespace drunner::test
