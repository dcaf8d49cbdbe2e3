#include "fakes/nasty_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <random>
#include <stdexcept>
#include <string_view>

#include "backup/acl_text.hpp"
#include "host/file.hpp"

namespace drunner::test {
namespace {

void require(bool succeeded, const std::string& what) {
    if (!succeeded) {
        throw std::runtime_error("cannot make the nasty tree: " + what);
    }
}

void set_attribute(const std::string& path, const std::string& name, std::string_view value) {
    require(lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0,
            name + " of " + path);
}

void set_time(const std::string& path, time_t seconds, long nanoseconds) {
    timespec time{};
    time.tv_sec = seconds;
    time.tv_nsec = nanoseconds;
    const timespec times[] = {time, time};
    require(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "time of " + path);
}

// Not create_file, which syncs: there are thousands.
void write_plainly(const std::string& path, std::string_view content, mode_t mode) {
    const FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, mode));
    require(
        fd.valid() && fchmod(fd.get(), mode) == 0 &&
            write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()),
        path);
}

void make_deep(const std::string& directory, int levels) {
    FileDescriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY));
    const std::string name(100, 'd');
    for (int i = 0; i < levels; ++i) {
        require(mkdirat(fd.get(), name.c_str(), 0755) == 0, "deep directory");
        fd.reset(openat(fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
        require(fd.valid(), "deep directory");
        const FileDescriptor file(openat(fd.get(), "f", O_WRONLY | O_CREAT, 0600));
        require(write(file.get(), "deep", 4) == 4, "deep file");
    }
}

}  // namespace

void make_nasty_tree(const std::string& directory, int deep_levels) {
    const auto at = [&](const std::string& name) { return directory + "/" + name; };
    const auto file = [&](const std::string& name, std::string_view content) {
        write_plainly(at(name), content, 0644);
        return at(name);
    };
    file("plain", "content");
    file("empty", "");
    file("exactly", std::string(512, 'e'));
    make_directories(at("empty directory"), 0711);
    set_time(at("empty directory"), 1'000'000'000, 123'456'789);
    file("new\nline", "1");
    file("not \xff\xfe utf-8", "2");
    file("gr\xc3\xbc\xc3\x9f", "3");
    file("quote ' \" \\ $(x) * ?", "4");
    file(" ", "5");
    file("-rf", "6");
    file(std::string(255, 'n'), "7");
    make_directories(at(std::string(200, 'm')), 0755);
    file(std::string(200, 'm') + "/not \xff utf-8 " + std::string(200, 'o'), "8");
    chmod(file("set-uid", "s").c_str(), 04755);
    const std::string owned = file("owned set-id", "s");
    require(chown(owned.c_str(), 1234, 4321) == 0 && chmod(owned.c_str(), 06751) == 0, "owner");
    require(chown(file("large ids", "").c_str(), 4'000'000'000U, 3'000'000'000U) == 0, "owner");
    chmod(file("nothing allowed", "x").c_str(), 0);
    make_directories(at("sticky"), 0755);
    require(chmod(at("sticky").c_str(), 03777) == 0, "sticky");
    set_time(file("old", ""), -5, 250'000'000);
    set_time(file("older", ""), -2'000'000'000, 0);
    set_time(file("future", ""), 5'000'000'000, 1);
    require(symlink("/etc/passwd", at("absolute link").c_str()) == 0, "link");
    require(symlink("nowhere/..", at("dangling link").c_str()) == 0, "link");
    // XFS takes 1023.
    require(symlink(std::string(1000, 't').c_str(), at("long link").c_str()) == 0, "link");
    require(symlink("not \xff utf-8", at("odd link").c_str()) == 0, "link");
    require(lchown(at("odd link").c_str(), 77, 88) == 0, "owner of a link");
    set_time(at("dangling link"), 1'234'567'890, 987'654'321);
    require(mkfifo(at("fifo").c_str(), 0640) == 0, "fifo");
    require(link(at("plain").c_str(), at("another name").c_str()) == 0, "hard link");
    make_directories(at("sub/deeper"), 0755);
    require(link(at("plain").c_str(), at("sub/deeper/third name").c_str()) == 0, "hard link");
    require(link(at("dangling link").c_str(), at("sub/link of a link").c_str()) == 0, "hard link");
    require(link(at("fifo").c_str(), at("sub/fifo again").c_str()) == 0, "hard link");
    require(link(owned.c_str(), at("sub/deeper/owned set-id again").c_str()) == 0, "hard link");
    require(lchown(at("fifo").c_str(), 55, 66) == 0, "owner of a fifo");
    set_time(at("fifo"), -1, 999'999'999);
    set_attribute(at("fifo"), "trusted.of fifo", "fifo");
    // The last second that ext4 knows.
    set_time(file("far future", ""), 15'032'385'535, 7);
    set_time(file("epoch", ""), 0, 0);
    set_attribute(at("plain"), "user.note", "value");
    set_attribute(at("plain"), "user.with=equals%25", std::string_view("\0\n=\xff", 4));
    set_attribute(at("plain"), "user.empty", "");
    set_attribute(at("sub"), "user.of directory", std::string(3000, 'v'));
    set_attribute(at("plain"), "trusted.note", "root only");
    set_attribute(at("absolute link"), "trusted.of link", "link");
    // cap_net_bind_service=ep, revision 2
    set_attribute(owned, "security.capability",
                  std::string_view("\x01\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
    const std::string acl = *acl_from_text(
        "user::rw-\nuser:1000:r--\nuser:2000:rwx\ngroup::r-x\ngroup:3000:--x\nmask::r-x\nother::--"
        "-");
    set_attribute(file("with acl", "a"), std::string(acl_access_attribute), acl);
    set_attribute(at("sub"), std::string(acl_access_attribute), acl);
    set_attribute(at("sub"), std::string(acl_default_attribute), acl);
    make_directories(at("sub/inherits"), 0700);
    write_plainly(at("sub/inherits/below a default ACL"), "x", 0600);
    const FileDescriptor sparse(open(at("sparse").c_str(), O_RDWR | O_CREAT, 0600));
    require(ftruncate(sparse.get(), 9'000'000'123) == 0 &&
                pwrite(sparse.get(), "start", 5, 0) == 5 &&
                pwrite(sparse.get(), "middle", 6, 4'500'000'000) == 6,
            "sparse file");
    const FileDescriptor ending(open(at("sparse with an end").c_str(), O_RDWR | O_CREAT, 0600));
    require(pwrite(ending.get(), "end", 3, 10'000'000) == 3, "sparse file");
    const FileDescriptor hollow(open(at("only a hole").c_str(), O_RDWR | O_CREAT, 0600));
    require(ftruncate(hollow.get(), 3'000'000) == 0, "sparse file");
    std::mt19937 random(42);
    std::string large(3'700'001, '\0');
    for (char& c : large) {
        c = static_cast<char>(random() & 0xffU);
    }
    file("large", large);
    file("piece", std::string(1U << 20U, 'p'));
    make_directories(at("many"), 0755);
    for (int i = 0; i < 3000; ++i) {
        write_plainly(at("many/" + std::to_string(i)),
                      std::string(static_cast<std::size_t>(i), 'c'), 0600);
    }
    make_directories(at("deep"), 0755);
    make_deep(at("deep"), deep_levels);
    set_time(at("many"), 1'500'000'000, 5);
    require(chown(directory.c_str(), 666, 777) == 0 && chmod(directory.c_str(), 02750) == 0,
            "root directory");
    set_attribute(directory, "user.root", "yes");
    set_time(directory, 1'400'000'000, 999'999'999);
}

}  // namespace drunner::test
