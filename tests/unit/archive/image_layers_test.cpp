#include "archive/image_layers.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "fakes/scratch_directory.hpp"

using namespace drunner;
using drunner::test::ScratchDirectory;

namespace {

void write(const std::string& path, const std::string& content, mode_t mode = 0644) {
    make_directories(parent_of(path), 0755);
    std::ofstream(path) << content;
    REQUIRE(chmod(path.c_str(), mode) == 0);
}

void white_out(const std::string& path) {
    make_directories(parent_of(path), 0755);
    REQUIRE(mknod(path.c_str(), S_IFCHR | 0600, makedev(0, 0)) == 0);
}

void make_opaque(const std::string& path) {
    make_directories(path, 0755);
    REQUIRE(setxattr(path.c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
}

// What the kernel makes of the layers.
class Mounted {
  public:
    Mounted(const ScratchDirectory& scratch, const std::vector<std::string>& layers)
        : point_(scratch.make("mounted")) {
        std::string options = "lowerdir=";
        for (const std::string& layer : layers) {
            options += (layer == layers.front() ? "" : ":") + layer;
        }
        REQUIRE(mount("overlay", point_.c_str(), "overlay", MS_RDONLY, options.c_str()) == 0);
    }
    ~Mounted() { umount2(point_.c_str(), MNT_DETACH); }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;

    // Path -> mode and content.
    std::map<std::string, std::string> files(const std::string& root) const {
        std::map<std::string, std::string> found;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(point_ + "/" + root)) {
            if (entry.is_regular_file()) {
                struct stat status {};
                REQUIRE(stat(entry.path().c_str(), &status) == 0);
                found[entry.path().string().substr(point_.size() + root.size() + 2)] =
                    std::to_string(status.st_mode & 07777U) + " " + read_file(entry.path());
            }
        }
        return found;
    }

  private:
    std::string point_;
};

std::map<std::string, std::string> as_listing(const ImageFiles& files) {
    std::map<std::string, std::string> listing;
    for (const auto& [path, file] : files) {
        listing[path] = std::to_string(file.mode) + " " + file.content;
    }
    return listing;
}

// Layers as a build might leave them, with few names so that they meet.
std::vector<std::string> random_layers(const ScratchDirectory& scratch, std::mt19937& random) {
    const auto below = [&](unsigned most) { return static_cast<unsigned>(random() % most); };
    const unsigned count = 2 + below(4);
    std::vector<std::string> layers;
    for (unsigned layer = 0; layer < count; ++layer) {
        const std::string directory = scratch.make(std::to_string(layer));
        layers.push_back(directory);
        // The lowest has the directory itself, so that there always is one.
        if (layer + 1 == count) {
            make_directories(directory + "/drunner", 0755);
        }
        for (unsigned action = 0; action < 6; ++action) {
            std::string path = directory + "/drunner";
            for (unsigned depth = below(3); depth > 0; --depth) {
                path += "/d" + std::to_string(below(3));
            }
            if (file_type(path) != FileType::absent && file_type(path) != FileType::directory) {
                continue;
            }
            const unsigned kind = below(10);
            // Files and directories share their names.
            const std::string name = path + "/d" + std::to_string(below(3));
            try {
                make_directories(path, 0755);
            } catch (const std::exception&) {
                continue;  // a file is in its way
            }
            if (kind == 0) {
                make_opaque(path);
            } else if (file_type(name) != FileType::absent) {
                continue;
            } else if (kind < 4 && layer + 1 < count) {
                white_out(name);
            } else {
                write(name, std::to_string(random()), kind < 6 ? 0755 : 0640);
            }
        }
    }
    return layers;
}

}  // namespace

TEST_CASE("layers are merged as the kernel does it") {
    std::mt19937 random(7);
    int compared = 0;
    for (int round = 0; round < 60; ++round) {
        CAPTURE(round);
        const ScratchDirectory scratch;
        const std::vector<std::string> layers = random_layers(scratch, random);
        const auto files = ImageLayers(layers).files("drunner");
        const Mounted mounted(scratch, layers);
        REQUIRE(files);
        CHECK(as_listing(*files) == mounted.files("drunner"));
        compared += files->empty() ? 0 : 1;
    }
    CHECK(compared > 40);
}

TEST_CASE("one file of the layers") {
    const ScratchDirectory scratch;
    const std::string upper = scratch.make("upper");
    const std::string lower = scratch.make("lower");
    const ImageLayers layers({upper, lower});
    CHECK_FALSE(layers.file("etc/passwd", 100));
    write(lower + "/etc/passwd", "old");
    CHECK(layers.file("etc/passwd", 100) == "old");
    write(upper + "/etc/passwd", "newer");
    CHECK(layers.file("etc/passwd", 100) == "newer");
    CHECK_FALSE(layers.file("etc/passwd", 4));
    REQUIRE(unlink((upper + "/etc/passwd").c_str()) == 0);
    white_out(upper + "/etc/passwd");
    CHECK_FALSE(layers.file("etc/passwd", 100));
}

TEST_CASE("what is out of the ordinary is left to the engine") {
    const ScratchDirectory scratch;
    const std::string upper = scratch.make("upper");
    const std::string lower = scratch.make("lower");
    write(lower + "/drunner/a", "a");
    const ImageLayers layers({upper, lower});
    REQUIRE(layers.files("drunner"));
    const std::string directory = scratch.make("upper/drunner");
    const std::string odd = directory + "/odd";

    SUBCASE("a symbolic link") {
        REQUIRE(symlink("a", odd.c_str()) == 0);
    }
    SUBCASE("the directory is a link") {
        REQUIRE(rmdir(directory.c_str()) == 0);
        REQUIRE(symlink("/etc", directory.c_str()) == 0);
    }
    SUBCASE("a hard link") {
        write(upper + "/elsewhere", "x");
        REQUIRE(link((upper + "/elsewhere").c_str(), odd.c_str()) == 0);
    }
    SUBCASE("a fifo") {
        REQUIRE(mkfifo(odd.c_str(), 0600) == 0);
    }
    SUBCASE("a device") {
        REQUIRE(mknod(odd.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0);
    }
    SUBCASE("a set-id file") {
        write(odd, "x", 04755);
    }
    SUBCASE("a set-id directory") {
        make_directories(odd, 0755);
        REQUIRE(chmod(odd.c_str(), 02755) == 0);
    }
    SUBCASE("a name that steers a terminal") {
        write(odd + "\x1b[2J", "x");
    }
    SUBCASE("a directory that came from elsewhere") {
        REQUIRE(setxattr(directory.c_str(), "trusted.overlay.redirect", "/x", 2, 0) == 0);
    }
    SUBCASE("a file whose content lies elsewhere") {
        write(odd, "x");
        REQUIRE(setxattr(odd.c_str(), "trusted.overlay.metacopy", "", 0, 0) == 0);
    }
    SUBCASE("an owner that is not root, as in a user namespace") {
        REQUIRE(chown(lower.c_str(), 100000, 100000) == 0);
    }
    SUBCASE("a tree that is too deep") {
        std::string path = odd;
        for (int depth = 0; depth < 20; ++depth) {
            path += "/d";
        }
        write(path + "/file", "x");
    }
    SUBCASE("the directory was deleted") {
        REQUIRE(rmdir(directory.c_str()) == 0);
        white_out(directory);
    }
    CHECK_FALSE(layers.files("drunner"));
}

TEST_CASE("layers that are not here, and more than the limits, are left to the engine") {
    const ScratchDirectory scratch;
    const std::string layer = scratch.make("layer");
    write(layer + "/drunner/a", "12345");
    write(layer + "/drunner/b", "12345");
    CHECK(ImageLayers({layer}).files("drunner"));
    CHECK(ImageLayers({layer}).files("drunner", {10, 2}));
    CHECK_FALSE(ImageLayers({layer}).files("drunner", {9, 2}));
    CHECK_FALSE(ImageLayers({layer}).files("drunner", {10, 1}));
    CHECK_FALSE(ImageLayers({layer}).files("other"));
    CHECK_FALSE(ImageLayers({layer, scratch / "absent"}).files("drunner"));
    CHECK_FALSE(ImageLayers({}).files("drunner"));
}
